"""Binds an argument to several parameters: by name, by position or whole.

The main structure is `Parameters`. Like the converters, it keeps no state of a call.
"""

from ._checked import KINDS, Invalid, checked, fits, name_text, null_is_absent, type_of
from ._describe import KEYWORD_ONLY, POSITIONAL_ONLY, VAR_KEYWORD, VAR_POSITIONAL


class Parameters:
    """The parameters of a function that takes more than one value, and the rules that bind them."""

    __slots__ = ("all", "positional", "names", "required", "needed", "rest", "extra", "closed", "hidden", "convert", "exact", "expected")

    def __init__(self, signature):
        parameters = signature.parameters
        # By name, in Python's order.
        self.all = {p.name: p for p in parameters if p.named}
        self.positional = [p for p in self.all.values() if p.kind != KEYWORD_ONLY]
        self.names = frozenset(self.all)
        self.required = [p for p in self.all.values() if p.required]
        self.needed = frozenset(p.name for p in self.required)
        self.rest = next((p for p in parameters if p.kind == VAR_POSITIONAL), None)
        self.extra = next((p for p in parameters if p.kind == VAR_KEYWORD), None)
        # The worker passes this parameter, so `**kwargs` must not.
        self.closed = frozenset(("cancel_event",)) if signature.takes_event else frozenset()
        # Python does not take these by name.
        self.hidden = [p.name for p in self.positional if p.kind == POSITIONAL_ONLY]
        self.convert = {p.name: p.type.convert for p in self.all.values()}
        # Whether an object can be passed to the function as it is.
        self.exact = None
        if not self.hidden and self.extra is None:
            self.exact = fits({p.name: p.type for p in self.all.values()}, self.needed)
        names = [p.name if p.required else p.name + " (optional)" for p in self.all.values()]
        if self.extra is not None:
            names.append("any other names")
        self.expected = ", ".join(names)

    def bind(self, argument):
        """Return (positional arguments, keyword arguments); raises Invalid."""
        if type(argument) is dict:
            if self.exact is not None and self.exact(argument):
                return (), argument
            if self.fits(argument):
                return self.by_name(argument)
            if len(self.required) == 1 and "object" in self.required[0].type.takes:
                return self.whole(self.required[0], argument)
            raise self.names_error(argument)
        first = next(iter(self.all.values()), None)
        if type(argument) is list and (len(self.required) > 1 or first is None or not takes_arrays(first)):
            return self.by_position(argument)
        if argument is None and not self.required and (first is None or null_is_absent(first)):
            return (), {}
        if len(self.required) > 1 or first is None:
            raise self.type_error(argument)
        if self.required and self.required[0] is not first:
            raise Invalid([self.missing(self.required[0])])
        return self.whole(first, argument)

    def fits(self, argument):
        """Return whether an object has names of parameters only, and all required ones."""
        if not self.needed <= argument.keys():
            return False
        if argument.keys() <= self.names:
            return True
        if self.extra is None or not self.closed.isdisjoint(argument):
            return False
        # Keys of MessagePack can be anything.
        return all(type(name) is str for name in argument)

    def by_name(self, argument):
        """Bind an object that fits."""
        errors = []
        keywords = {}
        extra = None if self.extra is None else self.extra.type.convert
        convert = self.convert
        for name, value in argument.items():
            if name in convert:
                keywords[name] = checked(convert[name], name, value, errors)
            else:
                keywords[name] = checked(extra, name_text(name), value, errors)
        if errors:
            raise Invalid(errors)
        return self._positional_only(keywords) if self.hidden else (), keywords

    def _positional_only(self, keywords):
        # The values up to the last positional-only parameter that is given; defaults fill gaps.
        names = list(self.hidden)
        while names and names[-1] not in keywords:
            names.pop()
        return tuple(keywords.pop(name) if name in keywords else self.all[name].default for name in names)

    def by_position(self, argument):
        """Bind an array; items that are left over go to `*args`."""
        count = len(self.positional)
        missing = [p for p in self.positional[len(argument) :] if p.required]
        missing += [p for p in self.required if p.kind == KEYWORD_ONLY]
        errors = [self.missing(p) for p in missing]
        if len(argument) > count and self.rest is None:
            text = "%d items, but at most %d can be given by position" % (len(argument), count)
            errors.append(("", "%s; expected %s" % (text, self.expected), "unknown"))
        if errors:
            raise Invalid(errors)
        values = [checked(self.convert[p.name], p.name, value, errors) for p, value in zip(self.positional, argument)]
        if self.rest is not None:
            convert = self.rest.type.convert
            for i, value in enumerate(argument[count:]):
                values.append(checked(convert, "%s[%d]" % (self.rest.name, i), value, errors))
        if errors:
            raise Invalid(errors)
        return values, {}

    def whole(self, parameter, argument):
        """Bind the argument to one parameter; the others have their defaults."""
        errors = []
        value = checked(self.convert[parameter.name], parameter.name, argument, errors)
        if errors:
            raise Invalid(errors)
        if self.positional and parameter is self.positional[0]:
            return (value,), {}
        if parameter.kind == POSITIONAL_ONLY:
            keywords = {parameter.name: value}
            return self._positional_only(keywords), {}
        return (), {parameter.name: value}

    def missing(self, parameter):
        """Return the error for a parameter without a value."""
        return parameter.name, "missing; expected " + self.expected, "missing"

    def names_error(self, argument):
        """Return the Invalid for an object with the wrong names."""
        return Invalid(self._wrong_names(argument))

    def _wrong_names(self, argument):
        for p in self.required:
            if p.name not in argument:
                yield self.missing(p)
        for name in argument:
            known = name in self.names or (self.extra is not None and type(name) is str and name not in self.closed)
            if not known:
                yield name_text(name), "unknown; expected " + (self.expected or "no names"), "unknown"

    def type_error(self, argument, by_position=True):
        """Return the Invalid for a value that is not an object."""
        text = "expected an object with " + self.expected
        if by_position and len(self.positional) > 1 and not any(p.kind == KEYWORD_ONLY for p in self.required):
            text += ", or an array of them"
        return Invalid([("", "%s, not %s" % (text, type_of(argument)), "type")])


def takes_arrays(parameter):
    """Return whether a parameter is annotated as something that an array can be."""
    takes = parameter.type.takes
    return "array" in takes and takes != KINDS
