"""Builds the types of classes of numpy, pydantic and msgspec, which validate their own values.

The main functions are `known` and `of_metadata`. A library is used only if the script has imported
it; nothing here imports one.
"""

import sys

from ._checked import KINDS, Invalid, Type, invalid, mismatch, one_line, part_of, raised, with_article, wrong
from ._definitions import PREFIX

_PYDANTIC = frozenset(("pydantic", "pydantic_core", "annotated_types", "pydantic_extra_types"))
_KINDS = {
    "null": "null",
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
    "string": "string",
    "array": "array",
    "object": "object",
}
_ADVICE = {
    "pandas.DataFrame": 'return .to_dict("records")',
    "pandas.Series": "return .to_list() or .to_dict()",
    "polars.DataFrame": "return .to_dicts()",
    "polars.Series": "return .to_list()",
    "Iterator": "return a list",
    "Generator": "return a list",
    "AsyncIterator": "return a list",
    "AsyncGenerator": "return a list",
    "AsyncIterable": "return a list",
    "Coroutine": "declare the function itself with `async def`",
    "Awaitable": "declare the function itself with `async def`",
}
# The kinds of numpy from which each kind is made, so that no number changes its meaning.
# Before that, what each item of a list must be, so that numpy does not convert one into another.
_ITEMS = {
    "b": ("a bool", (bool,)),
    "i": ("an int", (int,)),
    "u": ("an int", (int,)),
    "f": ("a number", (int, float)),
    "c": ("a number", (int, float)),
    "U": ("a str", (str,)),
    "S": ("bytes", (bytes, str)),
    "M": ("a time in ISO 8601", (str,)),
    "m": ("an int", (int,)),
}
_PLAIN = (("a number", (int, float)), ("a bool", (bool,)), ("a str", (str,)), ("bytes", (bytes,)))
_FROM = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "c": "iufc", "U": "U", "S": "US", "M": "UM", "m": "ium"}
_SCALARS = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "U": "string"}
# Scalars of numpy that have no values of their own.
_ABSTRACT = frozenset(
    "generic number integer signedinteger unsignedinteger inexact floating complexfloating flexible character".split()
)


def known(annotation, cls, definitions, result):
    """Return the type of a class of a library, or None."""
    if "pydantic" in sys.modules and (
        hasattr(cls, "__get_pydantic_core_schema__") or hasattr(cls, "__pydantic_validator__")
    ):
        return _pydantic(annotation, cls, definitions, result)
    msgspec = sys.modules.get("msgspec")
    if msgspec is not None and issubclass(cls, msgspec.Struct):
        return _msgspec(annotation, cls, definitions, result)
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(cls, numpy.ndarray):
        return _array(numpy, _dtype_of(numpy, getattr(annotation, "__args__", ())))
    return None


def known_result(cls):
    """Return the type of a class whose values can only be results, or None."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if cls is not None and numpy is not None and issubclass(cls, numpy.generic):
        kind = _SCALARS.get(getattr(_dtype(numpy, cls), "kind", ""))
        return Type("a number", KINDS, {"type": kind or "number"})
    if cls is not None and pandas is not None and cls is getattr(pandas, "Timestamp", None):
        return Type("a time", KINDS, {"type": "string", "format": "date-time"})
    return None


def advice(name):
    """Return what to return instead of a class that cannot be sent, or an empty text."""
    return _ADVICE.get(name, "")


def is_metadata(value):
    """Return whether a library checks what some metadata of `Annotated` state."""
    kind = value if isinstance(value, type) or hasattr(value, "__code__") else type(value)
    top = str(getattr(kind, "__module__", "")).partition(".")[0]
    if top == "msgspec":
        return "msgspec" in sys.modules
    return "pydantic" in sys.modules and (top in _PYDANTIC or hasattr(kind, "__get_pydantic_core_schema__"))


def of_metadata(metadata):
    """Return the function that builds the type of an `Annotated` with these metadata, or None."""
    for value in metadata:
        if is_metadata(value):
            return _msgspec if type(value).__module__.partition(".")[0] == "msgspec" else _pydantic
    return None


def subscript(found, arguments, look_up):
    """Return the type of `found[arguments]`, which is text, if it is an array, or None."""
    numpy = sys.modules.get("numpy")
    if numpy is None or getattr(found, "__origin__", found) is not numpy.ndarray:
        return None
    last = arguments[-1]
    if type(last).__name__ == "Subscript":
        last = last.slice
    return _array(numpy, _dtype(numpy, look_up(last)))


def _pydantic(annotation, cls, definitions, result):
    library = sys.modules["pydantic"]
    adapter = library.TypeAdapter(annotation)
    validate, validate_json = adapter.validator.validate_python, adapter.validator.validate_json
    failure = library.ValidationError
    schema = _pydantic_schema(adapter, cls, result)
    schema = _defined(cls, schema, schema.pop("$defs", {}), definitions)

    def convert(value):
        try:
            try:
                return validate(value)
            except failure as error:
                # A strict model takes a date as text, or an array as a set, only from JSON itself.
                payload = _as_json(value, _details(error))
                if payload is None:
                    raise
            return validate_json(payload)
        except failure as error:
            raise Invalid(map(_of_pydantic, _details(error))) from None
        except BaseException as error:
            raise raised(error) from None

    return Type(_expected(cls), _takes(schema, definitions, 0), schema, convert)


def _pydantic_schema(adapter, cls, result):
    from pydantic.json_schema import GenerateJsonSchema

    class Lenient(GenerateJsonSchema):
        # A part without a JSON Schema, such as a function, takes any value.
        def handle_invalid_for_json_schema(self, schema, error_info):
            return {}

    # A model is sent by the names of its fields, unless it says otherwise.
    config = getattr(cls, "model_config", None) or {}
    by_alias = not result or bool(config.get("serialize_by_alias"))
    mode = "serialization" if result else "validation"
    try:
        return adapter.json_schema(
            by_alias=by_alias, ref_template=PREFIX + "{model}", schema_generator=Lenient, mode=mode
        )
    except Exception:
        return {"title": getattr(cls, "__name__", "")}


def _as_json(value, details):
    # The value as JSON, if validation of that could have another outcome.
    if not any(one["type"].endswith(("_type", "is_instance_of")) for one in details):
        return None
    from ._codec import dump_json

    try:
        return dump_json(value)
    except Exception:
        return None


def _details(error):
    return error.errors(include_url=False, include_context=False, include_input=False)


def _of_pydantic(one):
    kind = one["type"]
    if kind == "missing":
        kind, message = "missing", "missing"
    elif kind.startswith("extra_forbidden") or kind == "unexpected_keyword_argument":
        kind, message = "unknown", "unknown"
    else:
        kind = "type" if kind.endswith(("_type", "_parsing", "_from_float")) else "value"
        message = one_line(one["msg"])
    path = "".join("[%d]" % at if type(at) is int else part_of(at) for at in one["loc"])
    return path, message, kind


def _msgspec(annotation, cls, definitions, _result):
    library = sys.modules["msgspec"]
    # It raises TypeError for what it cannot convert.
    library.json.Decoder(annotation)
    try:
        (schema,), components = library.json.schema_components(
            [annotation], ref_template=PREFIX + "{name}", schema_hook=_unknown_schema
        )
        schema = definitions.adopt(components, schema)
    except Exception:
        schema = {"title": getattr(cls, "__name__", "")}
    made, failure = library.convert, library.ValidationError

    def convert(value):
        try:
            # In JSON, keys are strings.
            return made(value, annotation, str_keys=True)
        except failure as error:
            raise _of_msgspec(one_line(str(error))) from None
        except BaseException as error:
            raise raised(error) from None

    return Type(_expected(cls), _takes(schema, definitions, 0), schema, convert)


def _unknown_schema(cls):
    return {"x-python-type": "%s.%s" % (cls.__module__, cls.__qualname__)}


def _of_msgspec(message):
    # "Expected `int`, got `str` - at `$.points[3].x`", or "... - at `key` in `$.table`".
    message, _, where = message.partition(" - at `")
    if where.startswith("key` in `"):
        message, where = "key: " + message[:1].lower() + message[1:], where[len("key` in `") :]
    path = where.rstrip("`")[1:]
    kind = "type" if "xpected `" in message and ", got `" in message else "value"
    for start, kind_of_field in (("Object missing required field `", "missing"), ("Object contains unknown field `", "unknown")):
        if message.startswith(start):
            return Invalid([(path + part_of(message[len(start) :].rstrip("`")), kind_of_field, kind_of_field)])
    return Invalid([(path, message[:1].lower() + message[1:], kind)])


def _defined(cls, schema, components, definitions):
    # A class has a definition of its own, even if the library states it in place.
    name = getattr(cls, "__name__", "")
    if isinstance(cls, type) and "$ref" not in schema and schema.get("type") == "object":
        components = {**components, name: schema}
        schema = definitions.reference(name)
    return definitions.adopt(components, schema)


def _expected(cls):
    return with_article(cls.__name__) if isinstance(cls, type) else "a value that fits %s" % cls


def _takes(schema, definitions, depth):
    if depth > 8 or not isinstance(schema, dict):
        return KINDS
    if "$ref" in schema:
        return _takes(definitions.schemas.get(schema["$ref"].rpartition("/")[2]), definitions, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return frozenset().union(*(_takes(one, definitions, depth + 1) for one in schema[key]))
    kinds = schema.get("type")
    if kinds is None:
        return KINDS
    kinds = {_KINDS.get(kind, "object") for kind in (kinds if isinstance(kinds, list) else [kinds])}
    return frozenset(kinds | {"bytes"} if schema.get("format") == "binary" else kinds)


def _dtype_of(numpy, arguments):
    # The arguments of `ndarray[shape, dtype[scalar]]`.
    inner = getattr(arguments[-1], "__args__", ()) if arguments else ()
    return _dtype(numpy, inner[0]) if inner else None


def _dtype(numpy, scalar):
    if not isinstance(scalar, type) or not issubclass(scalar, numpy.generic):
        return None
    if scalar.__name__ in _ABSTRACT:
        return None
    return numpy.dtype(scalar)


def _array(numpy, dtype):
    expected = "an array" if dtype is None else "an array of %s" % dtype
    schema = {"type": "array", "x-python-type": "numpy.ndarray"}
    if dtype is not None:
        schema["x-dtype"] = str(dtype)

    def convert(value):
        if type(value) is list:
            try:
                value = _of_list(numpy, value, dtype, expected)
            except (ValueError, TypeError, OverflowError) as error:
                raise invalid("expected %s: %s" % (expected, one_line(str(error)))) from None
        elif not isinstance(value, numpy.ndarray):
            raise mismatch(expected, value)
        return value if value.dtype == dtype else _cast(numpy, value, dtype, expected)

    return Type(expected, ("array",), schema, convert)


def _of_list(numpy, value, dtype, expected):
    # The array that has the same values: numpy itself makes a 1 of a true, and a text of a number.
    kind = None if dtype is None else dtype.kind
    if kind == "O":
        return numpy.asarray(value, dtype)
    types = set()
    _add_types(value, types)
    if not types:
        return numpy.asarray(value)
    if kind is None:
        first = next(iter(_leaves(value, "")))[1]
        item, allowed = next((one for one in _PLAIN if type(first) in one[1]), ("a number or a str", ()))
    else:
        item, allowed = _ITEMS.get(kind, (expected, tuple(types)))
    if not types.issubset(allowed):
        path, one = next((path, one) for path, one in _leaves(value, "") if type(one) not in allowed)
        raise Invalid([(path, mismatch(item, one).errors[0][1], "type")])
    if kind == "M":
        return _times(numpy, value)
    if float in types or kind in ("f", "c"):
        return numpy.asarray(value, "float64")
    made = numpy.asarray(value)
    if made.dtype.kind not in "iu" and int in types:
        # The integers need more than 64 bits, or are signed and unsigned ones.
        made = numpy.asarray(value, object)
        if kind not in ("i", "u"):
            raise invalid("expected %s of integers of 64 bits" % expected)
        return _within(numpy, made, dtype, expected).astype(dtype)
    return made


def _add_types(value, types):
    found = set(map(type, value))
    types |= found - {list}
    if list in found:
        for item in value:
            if type(item) is list:
                _add_types(item, types)


def _leaves(value, path):
    for i, item in enumerate(value):
        at = "%s[%d]" % (path, i)
        if type(item) is list:
            yield from _leaves(item, at)
        else:
            yield at, item


def _times(numpy, value):
    for path, text in _leaves(value, ""):
        # numpy also reads "now", and warns of an offset.
        if text != "NaT" and not text[:4].isdigit() or any(sign in text[10:] for sign in "+-"):
            raise Invalid([(path, wrong("a time in ISO 8601 without an offset", text).errors[0][1], "value")])
    made = numpy.asarray(value)
    return numpy.char.rstrip(made, "Zz")


def _within(numpy, value, dtype, expected):
    bounds = numpy.iinfo(dtype)
    for end in (value.min(), value.max()):
        if not bounds.min <= int(end) <= bounds.max:
            raise wrong("%s, whose values are from %d to %d" % (expected, bounds.min, bounds.max), int(end))
    return value


def _cast(numpy, value, dtype, expected):
    kind = value.dtype.kind
    if dtype is None:
        if kind == "O":
            raise invalid("expected an array of numbers or of strings, not of objects", "type")
        return value
    if value.size == 0 or dtype.kind not in _FROM:
        return value.astype(dtype)
    if kind not in _FROM[dtype.kind]:
        raise invalid("expected %s, not of %s" % (expected, "objects" if kind == "O" else value.dtype), "type")
    if dtype.kind in "iu":
        _within(numpy, value, dtype, expected)
    if dtype.kind in "fc" and not numpy.can_cast(value.dtype, dtype):
        return _narrowed(numpy, value, dtype, expected)
    try:
        return value.astype(dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise invalid("expected %s: %s" % (expected, error)) from None


def _narrowed(numpy, value, dtype, expected):
    with numpy.errstate(all="ignore"):
        made = value.astype(dtype)
    lost = numpy.isinf(made) & ~numpy.isinf(value)
    if lost.any():
        most = numpy.finfo(dtype).max
        raise wrong("%s, whose values are from %s to %s" % (expected, -most, most), value[lost][0].item())
    return made
