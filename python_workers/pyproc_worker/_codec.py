"""Converts payloads to values and back, for each codec.

JSON uses the C scanner and encoder of `json` directly. For a small value they are four times as
fast as `json.loads` and `json.dumps`, and `json`, whose regular expressions take longer than the
rest of the start, is not imported. If a self-test at import fails, the public functions are used.
What is installed never changes this; `use_library` does, if the configuration names a library.

The loops call the functions in `LOADS` and `DUMPS`, by the codec. Each dump refuses the types that
its library does not know; only then does `encode` convert the result, as `_results` says.
"""

import sys

from ._frames import CODEC_BYTES, CODEC_JSON, CODEC_MSGPACK, CODEC_NONE

_WHITESPACE = " \t\n\r"
_BYTES_TYPES = (bytes, bytearray, memoryview)
# Up to this limit, a circular value raises RecursionError, in C too, before the stack overflows.
_SAFE_RECURSION = 5000

_join = "".join


class Refused(Exception):
    """A result cannot be encoded: has the type name and the message to send instead."""

    def __init__(self, type_name, message):
        super().__init__(message)
        self.type_name = type_name
        self.message = message


def _refuse_constant(name):
    raise ValueError("%s is not allowed in JSON" % name)


def _refuse_value(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


class _ScannerOptions:
    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)


def _private_functions():
    from _json import encode_basestring, make_encoder, make_scanner

    scan = make_scanner(_ScannerOptions)

    def encoder(markers):
        return make_encoder(markers, _refuse_value, encode_basestring, None, ":", ",", False, False, False)

    text = '{"a":[1,2.5,null,true,"\\u00e9\\n"],"b":{}}'
    value = {"a": [1, 2.5, None, True, "\u00e9\n"], "b": {}}
    if scan(text, 0) != (value, len(text)) or _join(encoder(None)(value, 0)) != text.replace("\\u00e9", "\u00e9"):
        raise ImportError("the C functions of json have changed")
    for refused in (float("nan"), {1}):
        try:
            encoder(None)(refused, 0)
        except (TypeError, ValueError):
            continue
        raise ImportError("the C encoder of json accepts a value that is not JSON")
    return scan, encoder


def _public_functions():
    import json

    decoder = json.JSONDecoder(parse_constant=_refuse_constant)

    def encoder(markers):
        options = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":"), "default": _refuse_value}
        encode = json.JSONEncoder(**options).encode
        return lambda value, _: (encode(value),)

    return decoder.scan_once, encoder


try:
    scan_json, _make_encoder = _private_functions()
except Exception:
    scan_json, _make_encoder = _public_functions()

_markers = {}
_encode_fast = _make_encoder(None)
_encode_checked = _make_encoder(_markers)


def inlined_codec():
    """Return the codec that `scan_json` and `json_encoder` serve, or -1 if there is none."""
    return CODEC_JSON if DUMPS[CODEC_JSON] is dump_json else -1


def json_encoder():
    """Return the C encoder `(value, 0) -> strings` for the serving loop.

    It detects circular values by the recursion limit or, if a script has raised that, by their ids.
    """
    return _encode_fast if sys.getrecursionlimit() <= _SAFE_RECURSION else _encode_checked


def load_json(payload):
    """Return the value of a JSON payload; raises ValueError or RecursionError."""
    text = str(payload, "utf-8")
    start = len(text) - len(text.lstrip(_WHITESPACE))
    try:
        value, end = _scan(text, start)
    except StopIteration as error:
        message = "Unexpected UTF-8 BOM" if text.startswith("\ufeff") else "Expecting value"
        raise _json_error(message, text, error.value) from None
    if end != len(text) and text[end:].strip(_WHITESPACE):
        raise _json_error("Extra data", text, end)
    return value


def _scan(text, start):
    try:
        return scan_json(text, start)
    except SystemError:
        # Up to Python 3.12, the scanner has no error to raise until this module is imported.
        import json.decoder  # noqa: F401

        return scan_json(text, start)


def dump_json(value):
    """Return a value as JSON bytes; raises TypeError, ValueError or RecursionError."""
    try:
        return _join(_encode_checked(value, 0)).encode()
    finally:
        # After an error, the ids of the containers that the encoder was in are still there.
        _markers.clear()


def dump_text(value):
    """Return a value of the worker as JSON bytes; lone surrogates become text like `\\ud800`."""
    try:
        return dump_json(value)
    except UnicodeEncodeError:
        return dump_json(_replace_surrogates(value))


def _replace_surrogates(value):
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, dict):
        return {_replace_surrogates(key): _replace_surrogates(item) for key, item in value.items()}
    return [_replace_surrogates(item) for item in value] if isinstance(value, list) else value


def valid_text(text):
    """Return a text whose lone surrogates, which are not valid UTF-8, are text like `\\ud800`."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def _json_error(message, text, position):
    from json import JSONDecodeError

    return JSONDecodeError(message, text, position)


def _load_first_msgpack(payload):
    _prepare_msgpack()
    return LOADS[CODEC_MSGPACK](payload)


def _dump_first_msgpack(value):
    _prepare_msgpack()
    return DUMPS[CODEC_MSGPACK](value)


def _prepare_msgpack():
    # Run by the first MessagePack call, so that JSON workers do not pay for it.
    from ._msgpack import choose

    DUMPS[CODEC_MSGPACK], LOADS[CODEC_MSGPACK] = choose()


# Of each codec, the functions that decode an argument and encode a result.
LOADS = [None, load_json, _load_first_msgpack]
DUMPS = [None, dump_json, _dump_first_msgpack]


def use_library(name):
    """Use orjson or msgspec for the JSON of calls; raises ImportError if it is not installed."""
    from ._json_libraries import functions

    LOADS[CODEC_JSON], DUMPS[CODEC_JSON] = functions(name)


def decode(codec, payload):
    """Return the argument in a payload; raises an Exception if it is not valid."""
    if codec == CODEC_JSON or codec == CODEC_MSGPACK:
        return LOADS[codec](payload)
    if codec == CODEC_BYTES:
        return payload if type(payload) is bytes else bytes(payload)
    if codec == CODEC_NONE:
        return None
    raise ValueError("unknown codec %d" % codec)


def encode(codec, result):
    """Return (codec, payload) for the result of a call in `codec`; raises Refused.

    A large bytes-like result is not copied. A small one is, because it is sent later and user code
    may change it before that.
    """
    try:
        if codec != CODEC_MSGPACK:
            if isinstance(result, _BYTES_TYPES):
                return CODEC_BYTES, _as_payload(result)
            codec = CODEC_JSON
        return codec, DUMPS[codec](result)
    except BaseException as error:
        # A subclass of dict can raise anything; a memoryview can be released.
        return codec, _encode_converted(codec, result, error)


def _encode_converted(codec, result, error):
    # Only a TypeError says that the result has a type that the encoder does not know.
    if isinstance(error, TypeError):
        try:
            from ._results import convert

            result = convert(result, codec)
            return DUMPS[codec](result)
        except BaseException as failed:
            error = failed
    raise _refused(codec, result, error) from None


def _as_payload(result):
    if type(result) is bytes:
        return result
    view = memoryview(result)
    if view.nbytes <= 65536 or not view.c_contiguous:
        return bytes(view)
    try:
        return view.cast("B")
    except (TypeError, ValueError):
        # Its items are not single numbers.
        return bytes(view)


def _refused(codec, result, error):
    from ._refusal import explain

    try:
        message = explain(codec, result, error)
    except BaseException:
        # The classes of the result and of the error are user code, which can raise anything.
        message = "the result (%s) cannot be encoded" % type(result).__name__
    return Refused(type(error).__name__, message)
