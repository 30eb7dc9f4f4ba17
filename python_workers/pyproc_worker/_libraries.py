"""Builds the types of classes of numpy, pydantic and msgspec, which validate their own values.

The main functions are `known` and `of_metadata`. A library is used only if the script has imported
it; nothing here imports one.
"""

import sys

from ._checked import KINDS, Invalid, Type, invalid, mismatch, part_of, raised, with_article, wrong
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
    mode = "serialization" if result else "validation"
    schema = adapter.json_schema(ref_template=PREFIX + "{model}", mode=mode)
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
        message = one["msg"]
    path = "".join("[%d]" % at if type(at) is int else part_of(at) for at in one["loc"])
    return path, message, kind


def _msgspec(annotation, cls, definitions, _result):
    library = sys.modules["msgspec"]
    (schema,), components = library.json.schema_components([annotation], ref_template=PREFIX + "{name}")
    schema = definitions.adopt(components, schema)
    made, failure = library.convert, library.ValidationError

    def convert(value):
        try:
            # In JSON, keys are strings.
            return made(value, annotation, str_keys=True)
        except failure as error:
            raise _of_msgspec(str(error)) from None
        except BaseException as error:
            raise raised(error) from None

    return Type(_expected(cls), _takes(schema, definitions, 0), schema, convert)


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
                value = numpy.asarray(value)
            except (ValueError, TypeError, OverflowError) as error:
                raise invalid("expected %s: %s" % (expected, error)) from None
        elif not isinstance(value, numpy.ndarray):
            raise mismatch(expected, value)
        return value if value.dtype == dtype else _cast(numpy, value, dtype, expected)

    return Type(expected, ("array",), schema, convert)


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
        bounds = numpy.iinfo(dtype)
        for end in (value.min(), value.max()):
            if not bounds.min <= int(end) <= bounds.max:
                raise wrong("%s, whose values are from %d to %d" % (expected, bounds.min, bounds.max), int(end))
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
