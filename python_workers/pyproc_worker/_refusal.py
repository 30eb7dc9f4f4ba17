"""Explains why a result cannot be encoded, and which part of it. Imported when that happens."""

from ._frames import CODEC_JSON

# Enough to search an ordinary result, and little enough to give up on a huge one soon.
_MOST_VISITED = 100_000
_DEEPEST = 64
_GENERATORS = ("generator", "async_generator")


def explain(codec, result, error):
    """Return the message for a result that the encoder rejected with `error`."""
    name = "JSON" if codec == CODEC_JSON else "MessagePack"
    kind = type(result).__name__
    if isinstance(result, memoryview):
        return "the result (%s) cannot be sent: %s" % (kind, _text(error))
    if kind in _GENERATORS:
        return "the function returned a generator: streaming is not supported; return a list instead"
    if kind == "coroutine":
        result.close()
        return "the function returned a coroutine: declare the function itself with `async def`"
    try:
        found = _find(codec, result)
    except BaseException:
        found = None
    if isinstance(error, RecursionError) or "recursion limit" in str(error) or "Circular" in str(error):
        return "the result (%s) is nested too deeply or contains itself, so it cannot be encoded as %s" % (kind, name)
    if found is not None:
        return "%s cannot be encoded as %s: %s" % (found, name, _text(error))
    return "the result (%s) cannot be encoded as %s: %s" % (kind, name, _text(error))


def _find(codec, result):
    waiting = [("result", result, 0)]
    visited = 0
    while waiting and visited < _MOST_VISITED:
        path, value, depth = waiting.pop()
        visited += 1
        problem = _problem(codec, value)
        if problem is not None:
            return "%s is %s, which" % (path, problem)
        if depth >= _DEEPEST:
            continue
        if isinstance(value, dict):
            for key, item in value.items():
                problem = _key_problem(codec, key)
                if problem is not None:
                    return "%s has a key that is %s, which" % (path, problem)
                waiting.append(("%s[%s]" % (path, _short(key)), item, depth + 1))
        elif isinstance(value, (list, tuple)):
            waiting.extend(("%s[%d]" % (path, i), item, depth + 1) for i, item in enumerate(value))
    return None


def _problem(codec, value):
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "a str with a lone surrogate"
    elif isinstance(value, float):
        if codec == CODEC_JSON and not (value - value == 0):
            return repr(value)
    elif isinstance(value, int):
        if codec != CODEC_JSON and not -(1 << 63) <= value < 1 << 64:
            return "an int beyond 64 bits"
    elif codec == CODEC_JSON and isinstance(value, (bytes, bytearray, memoryview)):
        return "%s (only a result that is bytes itself can be sent in a JSON call)" % type(value).__name__
    elif not isinstance(value, (dict, list, tuple, type(None))) and (
        codec == CODEC_JSON or type(value).__name__ not in ("bytes", "bytearray", "memoryview", "ExtType", "datetime")
    ):
        kind = type(value)
        name = kind.__qualname__
        return "of type " + (name if kind.__module__ == "builtins" else kind.__module__ + "." + name)
    return None


def _key_problem(codec, key):
    if codec == CODEC_JSON and not isinstance(key, (str, int, float, type(None))):
        return "a " + type(key).__name__
    return _problem(codec, key)


def _short(key):
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "..."


def _text(error):
    return str(error) or type(error).__name__
