"""Converts results that an encoder refused, by the types of values. The main item is `convert`.

The result is what every encoder knows: str, int, float, bool, None, list and dict, and in
MessagePack bytes. Imported when it happens. Libraries are looked up in `sys.modules`: a value of a
library cannot exist before the library is imported.
"""

import sys

from . import _libraries
from ._describe import with_module
from ._frames import CODEC_JSON
from ._named_tuples import fields_of

# Deeper nesting raises RecursionError, as it does in the encoders.
_DEEPEST = 1000
_PLAIN = frozenset((str, int, float, bool, type(None)))
_BYTES_TYPES = (bytes, bytearray, memoryview)


class Unconvertible(TypeError):
    """A part of a result cannot be sent: has which part, and what to return instead."""

    def __init__(self, path, problem, advice=""):
        self.part = "%s %s" % (text_of(path), problem)
        self.advice = advice
        super().__init__(self.part)


def convert(value, codec):
    """Return a result as data for an encoder; raises Unconvertible, or what user code raises."""
    return _Conversion(codec).of(value, None, 0)


class _Conversion:
    def __init__(self, codec):
        self.is_json = codec == CODEC_JSON
        # The converter of each type that has been seen.
        self.converters = {}

    def of(self, value, path, depth):
        """Return a value as data. `path` is None for the result, or (path, step) below it."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if depth > _DEEPEST:
            raise RecursionError("the result is nested too deeply")
        converter = self.converters.get(kind)
        if converter is None:
            converter = self.converters[kind] = self.converter(kind, value, path)
        return converter(value, path, depth)

    def converter(self, kind, value, path):
        """Return the function `(value, path, depth)` for the values of a type."""
        if _is_a(kind, "enum", "Enum"):
            return lambda value, path, depth: self.of(value.value, path, depth + 1)
        simple = self.scalar(kind)
        if simple is not None:
            return lambda value, _path, _depth: simple(value)
        if issubclass(kind, dict):
            return self.mapping
        if issubclass(kind, (list, tuple)):
            fields = fields_of(kind)
            if fields is None or len(fields) != len(value):
                return self.sequence
            return self.record(fields, by_position=True)
        if issubclass(kind, (set, frozenset)) or _is_a(kind, "collections", "deque"):
            return self.sequence
        special = self.special(kind)
        if special is not None:
            return special
        raise Unconvertible(path, "is of type " + with_module(kind), advice(kind))

    def scalar(self, kind):
        """Return a function of one value for the types of single values, else None."""
        for base in (str, int, float):
            if issubclass(kind, base):
                # The value as exactly this type.
                return {str: str.__str__, int: int.__int__, float: float.__float__}[base]
        if issubclass(kind, _BYTES_TYPES):
            return _base64 if self.is_json else bytes
        if _is_missing(kind):
            return lambda _: None
        return _text_of_scalar(kind)

    def special(self, kind):
        """Return the converter of an object of a class, or of a library, else None."""
        if hasattr(kind, "__dataclass_fields__"):
            return self.record([field.name for field in sys.modules["dataclasses"].fields(kind)])
        if _is_a(kind, "pydantic", "BaseModel") or _is_a(kind, "pydantic.v1", "BaseModel"):
            return self.model
        if _is_a(kind, "msgspec", "Struct"):
            return self.struct
        if _is_a(kind, "numpy", "ndarray"):
            return self.array
        if _is_a(kind, "numpy", "generic"):
            return self.number
        return None

    def mapping(self, value, path, depth):
        of, key_of = self.of, self.key
        converted = {
            key if type(key) is str else key_of(key, path): item
            if type(item) in _PLAIN
            else of(item, (path, key), depth + 1)
            for key, item in value.items()
        }
        if len(converted) < len(value):
            raise Unconvertible(path, "has two keys that are the same as text: %r" % self.twin(value, path))
        return converted

    def twin(self, value, path):
        """Return the first key whose text another key has had, or a short form of it."""
        seen = set()
        for key in value:
            text = key if type(key) is str else self.key(key, path)
            if text in seen:
                break
            seen.add(text)
        return text if type(text) is not str or len(text) <= 40 else text[:37] + "..."

    def sequence(self, value, path, depth):
        if _PLAIN.issuperset(map(type, value)):
            return list(value)
        of = self.of
        return [of(item, (path, at), depth + 1) for at, item in enumerate(value)]

    def record(self, names, by_position=False):
        """Return the converter of a record with these fields, which are attributes or items."""
        of, steps = self.of, [(name, Field(name)) for name in names]

        def convert_record(value, path, depth):
            converted = {}
            for at, (name, step) in enumerate(steps):
                item = value[at] if by_position else getattr(value, name)
                converted[name] = item if type(item) in _PLAIN else of(item, (path, step), depth + 1)
            return converted

        return convert_record

    def model(self, value, path, _depth):
        try:
            if hasattr(value, "model_dump"):
                return value.model_dump(mode="json")
            from ._codec import load_json

            # Version 1 of pydantic.
            return load_json(value.json().encode())
        except Exception as error:
            raise _failed(path, value, "model_dump", error) from None

    def struct(self, value, path, depth):
        kept = () if self.is_json else _BYTES_TYPES
        try:
            return sys.modules["msgspec"].to_builtins(
                value, builtin_types=kept, str_keys=self.is_json, enc_hook=lambda inner: self.of(inner, path, depth + 1)
            )
        except Unconvertible:
            raise
        except Exception as error:
            raise _failed(path, value, "msgspec.to_builtins", error) from None

    def array(self, value, path, depth):
        numpy, kind = sys.modules["numpy"], value.dtype.kind
        if kind in "biufU":
            found = value.tolist()
            # A long double stays one.
            return found if value.dtype.char != "g" else value.astype(float).tolist()
        if kind in "OS":
            return self.of(value.tolist(), path, depth + 1)
        if kind == "M":
            return _nested(numpy.datetime_as_string(value).tolist(), "NaT")
        if kind == "m":
            seconds = value / numpy.timedelta64(1, "s")
            return numpy.where(numpy.isnat(value), None, seconds.astype(object)).tolist()
        raise Unconvertible(path, "is a numpy array of dtype %s" % value.dtype)

    def number(self, value, path, depth):
        if value.dtype.kind in "mM":
            return self.array(sys.modules["numpy"].asarray(value), path, depth)
        if value.dtype.kind in "cV":
            raise Unconvertible(path, "is of type " + with_module(type(value)))
        return float(value) if value.dtype.char == "g" else value.item()

    def key(self, key, path):
        """Return a key that is not exactly a str as a key of an object."""
        kind = type(key)
        if _is_a(kind, "enum", "Enum"):
            value = key.value
            return value if type(value) is str else self.key(value, path)
        if _is_a(kind, "numpy", "generic") and not issubclass(kind, (str, bytes, float)):
            return self.key(self.number(key, path, 0), path)
        if not self.is_json and (kind in _PLAIN or kind is bytes):
            return key
        if kind is bool or key is None:
            return {True: "true", False: "false", None: "null"}[key]
        if issubclass(kind, float) and key - key != 0:
            raise Unconvertible(path, "has a key that is %r" % float(key))
        simple = None if issubclass(kind, _BYTES_TYPES) else self.scalar(kind)
        if simple is None:
            raise Unconvertible(path, "has a key of type " + with_module(kind))
        simple = simple(key)
        # As the C encoder writes numbers.
        return simple if type(simple) is str or not self.is_json else repr(simple)


class Field(str):
    """A step of a path that is the name of a field, not a key."""


def text_of(path):
    """Return a path as Python would write it: `result['a'][1].b`."""
    steps = []
    while path is not None:
        path, step = path
        if type(step) is Field:
            steps.append("." + step)
        else:
            text = repr(step)
            steps.append("[%s]" % (text if len(text) <= 40 else text[:37] + "..."))
    return "result" + "".join(reversed(steps))


def advice(kind):
    """Return what to return instead of a value of this type, or an empty text."""
    known = _libraries.advice(with_module(kind))
    if not known and callable(getattr(kind, "tolist", None)):
        known = "return .tolist()"
    return known + " of it" if known else ""


def _failed(path, value, function, error):
    why = "%s raised %s: %s" % (function, type(error).__name__, error)
    return Unconvertible(path, "is of type " + with_module(type(value)), why)


def _is_a(kind, module, name):
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and issubclass(kind, base)


def _is_missing(kind):
    # NaT is a datetime too, whose text is "NaT".
    pandas = sys.modules.get("pandas")
    return pandas is not None and (kind is type(getattr(pandas, "NaT", None)) or kind is type(getattr(pandas, "NA", None)))


def _text_of_scalar(kind):
    for name in ("datetime", "date", "time"):
        if _is_a(kind, "datetime", name):
            return lambda value: value.isoformat()
    if _is_a(kind, "datetime", "timedelta"):
        return lambda value: value.total_seconds()
    if _is_a(kind, "uuid", "UUID") or _is_a(kind, "decimal", "Decimal") or _is_a(kind, "pathlib", "PurePath"):
        return str
    return None


def _base64(value):
    from binascii import b2a_base64

    return b2a_base64(value if type(value) is bytes else bytes(value), newline=False).decode()


def _nested(value, missing):
    if isinstance(value, list):
        return [_nested(item, missing) for item in value]
    return None if value == missing else value
