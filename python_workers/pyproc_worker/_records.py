"""Builds the types of dataclasses, NamedTuples, TypedDicts and Enums.

`Fields` reads an object by the names of its fields; `_bind` reads the parameters of a function
in the same way.
"""

import sys

from ._checked import Invalid, Type, add, fits, invalid, mismatch, part_of, raised, with_article
from ._convert import literal
from ._default import NO_DEFAULT, json_default

_PLAIN = (str, int, float, bool, type(None))
# An error lists at most this many values of an Enum.
_MOST_SHOWN = 20


class Fields:
    """Names with their types, in order. `required` has the names without a default."""

    __slots__ = ("types", "required", "fits")

    def __init__(self, types, required):
        self.types = types
        self.required = frozenset(required)
        self.fits = fits(types, self.required)

    def read(self, value):
        """Return a dict of the converted fields; raises Invalid with everything that is wrong."""
        errors = None
        converted = {}
        for name, one in self.types.items():
            try:
                if name in value:
                    converted[name] = value[name] if one.convert is None else one.convert(value[name])
                elif name in self.required:
                    raise invalid("missing", "missing")
            except Invalid as error:
                errors = add(errors, part_of(name), error)
        for name in value:
            if name not in self.types:
                unknown = invalid("unknown; expected " + (", ".join(self.types) or "no names"), "unknown")
                errors = add(errors, part_of(name), unknown)
        if errors:
            raise Invalid(errors)
        return converted

    def schema(self, defaults):
        """Return the JSON Schema of the object; `defaults` maps names to Python values."""
        properties = {}
        for name, one in self.types.items():
            default = json_default(defaults.get(name, NO_DEFAULT))
            properties[name] = one.schema if default is NO_DEFAULT else {**one.schema, "default": default}
        schema = {"type": "object", "properties": properties}
        required = [name for name in self.types if name in self.required]
        if required:
            schema["required"] = required
        schema["additionalProperties"] = False
        return schema


def kind_of(cls):
    """Return the kind of record that a class is, or None."""
    if hasattr(cls, "__dataclass_fields__"):
        return "dataclass"
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return "namedtuple"
    if issubclass(cls, dict) and hasattr(cls, "__total__") and hasattr(cls, "__required_keys__"):
        return "typeddict"
    return "enum" if "enum" in sys.modules and issubclass(cls, sys.modules["enum"].Enum) else None


def fields_of(kind, cls):
    """Return {name: (annotation, default)} of a record; an annotation is None if it is missing."""
    if kind == "dataclass":
        return _dataclass_fields(cls)
    annotations = _annotations(cls)
    if kind == "namedtuple":
        defaults = getattr(cls, "_field_defaults", {})
        return {name: (annotations.get(name), defaults.get(name, NO_DEFAULT)) for name in cls._fields}
    return {name: (annotation, NO_DEFAULT) for name, annotation in annotations.items()}


def _annotations(cls):
    found = {}
    for base in reversed(cls.__mro__):
        found.update(base.__dict__.get("__annotations__", {}))
    return found or dict(getattr(cls, "__annotations__", {}))


def _dataclass_fields(cls):
    missing = sys.modules["dataclasses"].MISSING
    found = {}
    for name, field in cls.__dataclass_fields__.items():
        kind = getattr(field._field_type, "name", "")
        if kind == "_FIELD_CLASSVAR" or not field.init:
            continue
        annotation = getattr(field.type, "type", field.type) if kind == "_FIELD_INITVAR" else field.type
        if field.default is not missing:
            default = field.default
        else:
            default = NO_DEFAULT if field.default_factory is missing else field.default_factory
        found[name] = (annotation, default)
    return found


def required_keys(cls, wrappers):
    """Return the required keys of a TypedDict; `wrappers` maps keys to `Required` and the like.

    Python does not see these in annotations that are text.
    """
    required = set(cls.__required_keys__)
    for name, wrapper in wrappers.items():
        if wrapper in ("Required", "NotRequired"):
            (required.add if wrapper == "Required" else required.discard)(name)
    return required


def record(kind, cls, fields, expected):
    """Return the converter of a record."""
    fits, read = fields.fits, fields.read

    if kind == "typeddict":

        def convert(value):
            if type(value) is not dict:
                raise mismatch(expected, value)
            return value if fits(value) else read(value)

        return convert

    def convert(value):
        if type(value) is not dict:
            if isinstance(value, cls):
                return value
            raise mismatch(expected, value)
        converted = value if fits(value) else read(value)
        try:
            return cls(**converted)
        except BaseException as error:
            raise raised(error) from None

    return convert


def enum_type(cls):
    """Return the type of an Enum, by value, and its JSON Schema."""
    plain, others = [], []
    for name, member in cls.__members__.items():
        sent = _sent(member.value)
        if member.name != name:
            # An alias.
            continue
        if type(sent) in _PLAIN:
            plain.append((sent, member))
        elif (sent, member) not in others:
            others.append((sent, member))
    is_flag = issubclass(cls, sys.modules["enum"].Flag)
    every = 0
    for sent, _ in plain if is_flag else ():
        every |= sent
    shown = ", ".join(repr(sent) for sent, _ in plain[:_MOST_SHOWN])
    expected = with_article(cls.__name__) if is_flag or not plain else ("one of " if len(plain) > 1 else "") + shown
    known = literal(plain, expected + (", ..." if len(plain) > _MOST_SHOWN else ""))
    find = known.convert

    def convert(value):
        try:
            return find(value)
        except Invalid as error:
            missed = error
        if isinstance(value, cls):
            return value
        for sent, member in others:
            if type(sent) is type(value) and sent == value:
                return member
        if type(value) in (bool, float) or (is_flag and type(value) is int and value & ~every):
            # They may equal an integer; an unknown flag may be kept by the class.
            raise missed
        try:
            # `_missing_` of the class may know the value, or it may be several flags.
            return cls(value)
        except BaseException as error:
            if isinstance(error, ValueError) and str(error).endswith("is not a valid " + cls.__qualname__):
                raise missed from None
            raise raised(error) from None

    sent = [sent for sent, _ in plain + others if _is_data(sent)]
    schema = {"type": "integer"} if is_flag else {"enum": sent}
    takes = known.takes | {"array" for sent, _ in others if type(sent) is list}
    return Type(known.expected, takes or ("string",), schema, convert)


def _sent(value):
    # The form in which JSON has a value of an Enum.
    return [_sent(item) for item in value] if isinstance(value, tuple) else value


def _is_data(value):
    if isinstance(value, list):
        return all(map(_is_data, value))
    return type(value) in _PLAIN
