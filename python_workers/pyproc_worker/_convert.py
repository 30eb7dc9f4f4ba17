"""Builds the types of plain values and of containers; the main structure is `Type`.

Each function returns a type whose converter is a closure made at start. The decoders return exact
types, so `type(value) is` is enough. Converters keep no state, because an interrupt can end them
between any two bytecodes.
"""

import sys

from . import _codec
from ._checked import ANY, KINDS, Invalid, Type, add, invalid, mismatch, part_of, with_article, wrong

_NULL = type(None)
_OR_NONE = " or None"
_NUMBER_STARTS = frozenset("-0123456789")
_KIND_OF = {
    _NULL: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    bytes: "bytes",
    list: "array",
    dict: "object",
}


def _plain(expected, kind, schema, exact):
    if len(exact) == 1:
        (only,) = exact

        def convert(value):
            if type(value) is not only:
                raise mismatch(expected, value)
            return value

    else:

        def convert(value):
            if type(value) not in exact:
                raise mismatch(expected, value)
            return value

    return Type(expected, (kind,), {"type": schema}, convert, exact)


NULL = _plain("None", "null", "null", (_NULL,))
BOOL = _plain("a bool", "boolean", "boolean", (bool,))
INT = _plain("an int", "number", "integer", (int,))
FLOAT = _plain("a float", "number", "number", (float, int))
STR = _plain("a str", "string", "string", (str,))


def binary(made):
    """Return the type of bytes, a bytearray or a memoryview."""
    expected = "bytes (base64 in JSON)"

    def convert(value):
        if type(value) is str:
            from binascii import a2b_base64

            sent = value
            try:
                value = a2b_base64(sent.encode("ascii"))
            except ValueError:
                raise wrong("base64", sent) from None
            # The decoder skips characters that are not base64, and what follows the padding.
            digits = len(sent.rstrip("="))
            if len(sent) % 4 or len(sent) - digits > 2 or digits * 3 // 4 != len(value):
                raise wrong("base64", sent)
        elif not isinstance(value, (bytes, bytearray, memoryview)):
            raise mismatch(expected, value)
        return value if isinstance(value, made) else made(value)

    schema = {"type": "string", "contentEncoding": "base64"}
    return Type(expected, ("bytes", "string"), schema, convert, (bytes,) if made is bytes else ())


def text(made, expected, schema, accepts=None):
    """Return the type of a class that is made from a string, such as a UUID."""

    def convert(value):
        if type(value) is not str:
            if isinstance(value, made):
                return value
            raise mismatch(expected, value)
        try:
            converted = made(value)
        except (ValueError, ArithmeticError):
            raise wrong(expected, value) from None
        if accepts is not None and not accepts(converted, value):
            raise wrong(expected, value)
        return converted

    return Type(expected, ("string",), schema, convert)


def _is_uuid(made, value):
    # Python also reads braces, a prefix and hyphens anywhere.
    return value.lower() in (str(made), made.hex)


def _is_decimal(made, value):
    return made.is_finite() and "_" not in value and value == value.strip()


def moment(made, name, form):
    """Return the type of a datetime, a date or a time."""
    expected = "a %s in ISO 8601" % name
    parse = made.fromisoformat
    is_date = name == "date"

    def convert(value):
        if type(value) is not str:
            # A timestamp of MessagePack is a datetime already; a datetime is a date too.
            if isinstance(value, made) and not (is_date and hasattr(value, "hour")):
                return value
            raise mismatch(expected, value)
        try:
            if is_date and (len(value) != 10 or value[4] != "-" or value[7] != "-"):
                # Later versions of Python also read other forms.
                raise ValueError
            return parse(value if is_date else iso_text(value))
        except ValueError:
            raise wrong(expected, value) from None

    return Type(expected, ("string",), {"type": "string", "format": form}, convert)


def iso_text(value):
    """Return a time in the form that every version of Python reads."""
    if value[-1:] in ("Z", "z"):
        value = value[:-1] + "+00:00"
    if sys.version_info >= (3, 11):
        return value
    head, dot, tail = value.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        value = "%s.%s%s" % (head, tail[:digits][:6].ljust(6, "0"), tail[digits:])
    return value


def duration(made):
    """Return the type of a timedelta, which is a number of seconds."""
    expected = "a number of seconds"

    def convert(value):
        if type(value) not in (float, int):
            if isinstance(value, made):
                return value
            raise mismatch(expected, value)
        try:
            return made(seconds=value)
        except (OverflowError, ValueError):
            raise wrong("a number of seconds that a timedelta can have", value) from None

    return Type(expected, ("number",), {"type": "number"}, convert)


def literal(values, expected=None):
    """Return the type of one of some values; `values` maps what is sent to what is received."""
    by_key = {(type(sent), sent): received for sent, received in values}
    for sent, received in values:
        if type(sent) is float and sent.is_integer():
            # JavaScript writes 1.0 as 1.
            by_key.setdefault((int, int(sent)), received)
    expected = expected or "one of " + ", ".join(repr(sent) for sent, _ in values)
    takes = {_KIND_OF.get(type(sent), "string") for sent, _ in values}

    def convert(value):
        try:
            return by_key[type(value), value]
        except (KeyError, TypeError):
            raise wrong(expected, value) from None

    return Type(expected, takes, {"enum": [sent for sent, _ in values]}, convert)


def array(item, made=list, expected="a list"):
    """Return the type of a list, a set, a frozenset, a deque or a tuple of any length."""
    schema = {"type": "array", "items": item.schema} if item.schema else {"type": "array"}
    if made in (set, frozenset):
        schema["uniqueItems"] = True
    convert_item, fits = item.convert, item.exact.issuperset

    def convert(value):
        if type(value) is not list:
            raise mismatch(expected, value)
        if convert_item is not None and not fits(map(type, value)):
            value = _items(value, convert_item)
        if made is list:
            return value
        try:
            return made(value)
        except TypeError as error:
            raise invalid("expected items that can be in %s: %s" % (with_article(made.__name__), error)) from None

    exact = (list,) if made is list and convert_item is None else ()
    return Type(expected, ("array",), schema, convert, exact)


def _items(value, convert_item):
    converted = []
    append = converted.append
    errors = None
    for item in value:
        try:
            append(convert_item(item))
        except Invalid as error:
            errors = add(errors, "[%d]" % len(converted), error)
            append(None)
    if errors:
        raise Invalid(errors)
    return converted


def fixed(items):
    """Return the type of a tuple with these items."""
    count = len(items)
    expected = "a list of %d items" % count
    schema = {"type": "array", "minItems": count, "maxItems": count}
    if items:
        schema["prefixItems"] = [item.schema for item in items]

    def convert(value):
        if type(value) is not list:
            raise mismatch(expected, value)
        if len(value) != count:
            raise invalid("expected %s, not %d" % (expected, len(value)))
        converted = []
        errors = None
        for i, item in enumerate(items):
            try:
                converted.append(value[i] if item.convert is None else item.convert(value[i]))
            except Invalid as error:
                errors = add(errors, "[%d]" % i, error)
        if errors:
            raise Invalid(errors)
        return tuple(converted)

    return Type(expected, ("array",), schema, convert)


def mapping(key, item, made=dict):
    """Return the type of a dict or another mapping; keys that are not strings are text in JSON."""
    expected = "a dict"
    schema = {"type": "object"}
    if item.schema:
        schema["additionalProperties"] = item.schema
    if key.schema.keys() - {"type"}:
        schema["propertyNames"] = key.schema
    keys_fit, items_fit = key.exact.issuperset, item.exact.issuperset
    any_key, convert_item = key.convert is None, item.convert
    convert_key = None if any_key else _key(key)

    def convert(value):
        if type(value) is not dict:
            raise mismatch(expected, value)
        if not (any_key or keys_fit(map(type, value))) or not (
            convert_item is None or items_fit(map(type, value.values()))
        ):
            value = _entries(value, convert_key, convert_item)
        return value if made is dict else made(value)

    exact = (dict,) if made is dict and any_key and convert_item is None else ()
    return Type(expected, ("object",), schema, convert, exact, bare=key is ANY and item is ANY)


def _entries(value, convert_key, convert_item):
    converted = {}
    errors = None
    for name, item in value.items():
        try:
            key = name if convert_key is None else convert_key(name)
            if key in converted:
                raise invalid("the key is given twice")
            converted[key] = item if convert_item is None else convert_item(item)
        except Invalid as error:
            errors = add(errors, part_of(name), error)
        except TypeError as error:
            errors = add(errors, part_of(name), invalid("expected a key of a dict: %s" % error))
    if errors:
        raise Invalid(errors)
    return converted


def _key(key):
    # In JSON, keys are strings, so a number is read from its text as JSON has it.
    convert = key.convert

    def of_key(name):
        try:
            return convert(name)
        except Invalid as error:
            number = _number(name) if type(name) is str and "number" in key.takes else None
            if number is not None:
                try:
                    return convert(number)
                except Invalid:
                    pass
            raise Invalid([(path, "key: " + message, kind) for path, message, kind in error.errors]) from None

    return of_key


def _number(text):
    # The number that is exactly this text in JSON, or None.
    if text[:1] not in _NUMBER_STARTS:
        return None
    try:
        number, end = _codec.scan_json(text, 0)
    except (ValueError, StopIteration):
        return None
    if end != len(text) or number - number != 0 or (type(number) is int and str(number) != text):
        return None
    return number


def union(alternatives):
    """Return the type of the first alternative, from left to right, that a value fits."""
    takes = frozenset().union(*(one.takes for one in alternatives))
    schema = _union_schema([one.schema for one in alternatives])
    if any(one.convert is None for one in alternatives):
        return Type("any value", KINDS, schema)
    exact = set()
    for i, one in enumerate(alternatives):
        before = alternatives[:i]
        exact |= {t for t in one.exact if not any(_KIND_OF.get(t) in b.takes and t not in b.exact for b in before)}
    expected = _listed([one.expected for one in alternatives])
    if len(alternatives) == 2 and alternatives[1] is NULL and alternatives[0].convert is not None:
        only = alternatives[0].convert

        def convert(value):
            if value is None:
                return None
            try:
                return only(value)
            except Invalid as error:
                raise _alternatives(expected, alternatives, [error], value) from None

    else:
        containers = frozenset(("array", "object"))
        followers = [
            containers & one.takes & frozenset().union(*(after.takes for after in alternatives[i + 1 :]))
            for i, one in enumerate(alternatives)
        ]

        def convert(value):
            if type(value) in exact:
                return value
            errors = []
            kind = _KIND_OF.get(type(value))
            for one, later in zip(alternatives, followers):
                try:
                    # A validator of user code can change what a later alternative takes.
                    return one.convert(_copied(value) if kind in later else value)
                except Invalid as error:
                    errors.append(error)
            raise _alternatives(expected, alternatives, errors, value) from None

    return Type(expected, takes, schema, convert, exact)


def _copied(value):
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if type(value) is list else value


def or_default(one, default):
    """Return a type that also takes None if that is the default, as in `x: int = None`."""
    if default is not None or one.convert is None or "null" in one.takes:
        return one
    found = union([one, NULL])
    found.bare = one.bare
    return found


def _alternatives(expected, alternatives, errors, value):
    # If only one alternative takes values of this kind, its errors say more than the list does.
    kind = _KIND_OF.get(type(value))
    likely = [(one, error) for one, error in zip(alternatives, errors) if kind in one.takes]
    if len(likely) == 1:
        one, error = likely[0]
        if error.errors != mismatch(one.expected, value).errors:
            return error
    return mismatch(expected, value)


def _listed(names):
    # A union in a union may have its own None.
    unique = list(dict.fromkeys(name[: -len(_OR_NONE)] if name.endswith(_OR_NONE) else name for name in names))
    if unique[-1] != "None" and any(name.endswith(_OR_NONE) for name in names):
        unique = [name for name in unique if name != "None"] + ["None"]
    return unique[0] if len(unique) == 1 else ", ".join(unique[:-1]) + " or " + unique[-1]


def _union_schema(schemas):
    if {} in schemas:
        return {}
    flat = []
    for schema in schemas:
        # A union in a union.
        flat += schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    unique = [schema for i, schema in enumerate(flat) if schema not in flat[:i]]
    if len(unique) == 1:
        return unique[0]
    if all(schema.keys() == {"type"} and type(schema["type"]) is str for schema in unique):
        return {"type": [schema["type"] for schema in unique]}
    return {"anyOf": unique}


def scalar(cls):
    """Return the type of a class of the standard library that has a form in JSON, or None."""
    make = _SCALARS.get((cls.__module__.partition(".")[0], cls.__name__))
    return None if make is None else make(cls)


def _path(cls):
    return text(cls, "a path", {"type": "string", "format": "path"})


_SCALARS = {
    ("datetime", "datetime"): lambda cls: moment(cls, "datetime", "date-time"),
    ("datetime", "date"): lambda cls: moment(cls, "date", "date"),
    ("datetime", "time"): lambda cls: moment(cls, "time", "time"),
    ("datetime", "timedelta"): duration,
    ("uuid", "UUID"): lambda cls: text(cls, "a UUID", {"type": "string", "format": "uuid"}, _is_uuid),
    ("decimal", "Decimal"): lambda cls: text(
        cls, "a decimal number as a str", {"type": "string", "format": "decimal"}, _is_decimal
    ),
    ("pathlib", "Path"): _path,
    ("pathlib", "PurePath"): _path,
    ("pathlib", "PosixPath"): _path,
    ("pathlib", "PurePosixPath"): _path,
}
