"""The meaning of an annotation, and the errors of arguments that do not fit it.

The main structures are `Type` and `Invalid`.
"""

from ._context import CallCancelled
from ._default import NO_DEFAULT

# The kinds of values that JSON and MessagePack have.
KINDS = frozenset(("null", "boolean", "number", "string", "bytes", "array", "object"))
# An argument is reported with at most this many errors.
MOST_ERRORS = 20
_LONGEST_VALUE = 40
# What ends a call and not only its conversion. Those of libraries are recognized by their names.
_CONTROL = (CallCancelled, KeyboardInterrupt, GeneratorExit)
_CONTROL_NAMES = frozenset(("CancelledError", "GreenletExit"))
_LONGEST_TEXT = 300


class Type:
    """The meaning of an annotation: how a value is checked and converted, and its JSON Schema.

    `convert` takes a value and returns what the function receives, or raises Invalid; it is None if
    every value fits. `takes` has the kinds of values that may fit. Values of the types in `exact`
    always fit and are passed as they are. `bare` marks a mapping without types of its items, which
    is not checked as a parameter.
    """

    __slots__ = ("expected", "takes", "schema", "convert", "exact", "bare")

    def __init__(self, expected, takes, schema, convert=None, exact=(), bare=False):
        self.expected = expected
        self.takes = frozenset(takes)
        self.schema = schema
        self.convert = convert
        self.exact = frozenset(exact)
        self.bare = bare


ANY = Type("any value", KINDS, {})


class Invalid(Exception):
    """An argument does not fit: `errors` is a list of (path, message, kind), of limited length.

    A path is relative to the value that was converted: `[3].x`, or empty for the value itself.
    """

    def __init__(self, errors):
        # They can be generated: the value may have a million wrong names.
        self.errors = []
        for error in errors:
            self.errors.append(error)
            if len(self.errors) >= MOST_ERRORS:
                break
        super().__init__(self.errors)


def invalid(message, kind="value"):
    """Return an Invalid about the converted value itself."""
    return Invalid([("", message, kind)])


def mismatch(expected, value):
    """Return an Invalid for a value of the wrong type."""
    return invalid("expected %s, not %s" % (expected, type_of(value)), "type")


def wrong(expected, value):
    """Return an Invalid for a value of the right type that is not valid."""
    return invalid("expected %s, not %s" % (expected, short(value)))


def raised(error):
    """Return an Invalid for an exception of user code that a conversion has called.

    Raises the exception itself if it ends the call, as CallCancelled does.
    """
    if isinstance(error, _CONTROL) or not _CONTROL_NAMES.isdisjoint(one.__name__ for one in type(error).__mro__):
        raise error
    from ._errors import message_of, type_name

    message = message_of(error)
    if not isinstance(error, (ValueError, TypeError)) or not message:
        message = "%s: %s" % (type_name(error), message) if message else type_name(error)
    return invalid(one_line(message))


def one_line(text):
    """Return the text of user code or of a library as one line of limited length."""
    text = " ".join(text[: 4 * _LONGEST_TEXT].split())
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def add(errors, part, error):
    """Add the errors of a part of the value, such as `[3]` or `.x`, to a list; return it.

    Raises Invalid when the list is full. The list may be None.
    """
    if errors is None:
        errors = []
    errors += [(part + path, message, kind) for path, message, kind in error.errors]
    if len(errors) >= MOST_ERRORS:
        raise Invalid(errors)
    return errors


def converter(parameter):
    """Return the converter of a parameter, or None if every value fits."""
    return None if parameter.type.bare else parameter.type.convert


def checked(convert, path, value, errors):
    """Return a converted value; if it does not fit, add to the errors instead."""
    if convert is None:
        return value
    try:
        return convert(value)
    except Invalid as error:
        add(errors, path, error)
    except RecursionError:
        add(errors, path, invalid("nested too deeply"))
    return None


def null_is_absent(parameter):
    """Return whether null stands for the default of a parameter."""
    if parameter.default is NO_DEFAULT:
        return False
    return parameter.annotation is None or "null" not in parameter.type.takes


def fits(types, required):
    """Return a function that says whether nothing in an object needs conversion.

    It has only names of `types`, all required ones among them, and values that are passed as they
    are.
    """
    checks = [(name, None if one.convert is None else one.exact, name in required) for name, one in types.items()]
    is_subset = frozenset(types).issuperset
    missing = object()

    def fit(value):
        if not is_subset(value):
            return False
        get = value.get
        for name, exact, needed in checks:
            item = get(name, missing)
            if item is missing:
                if needed:
                    return False
            elif exact is not None and type(item) not in exact:
                return False
        return True

    return fit


def part_of(name):
    """Return the part of a path that stands for the item with this key or name."""
    is_short = type(name) is str and len(name) <= _LONGEST_VALUE
    return "." + name if is_short and name.isidentifier() else "[%s]" % short(name)


def name_text(name):
    """Return a key as the first part of a path."""
    return name if type(name) is str and len(name) <= _LONGEST_VALUE else short(name)


def type_of(value):
    """Return the type of a value with its article."""
    if value is None or type(value) is bytes:
        return "None" if value is None else "bytes"
    return with_article(type(value).__name__)


def with_article(name):
    """Return a name behind its article."""
    return ("an " if name[:1] in "aeiouAEIOU" else "a ") + name


def short(value):
    """Return a value as text that fits into a message."""
    try:
        # The text of a client can have megabytes.
        text = repr(value[: _LONGEST_VALUE + 1] if type(value) in (str, bytes) else value)
    except Exception:
        return type_of(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
