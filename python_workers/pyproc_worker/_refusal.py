"""Explains why a result cannot be encoded, and which part of it. Imported when that happens."""

from ._describe import with_module
from ._frames import CODEC_JSON
from ._results import Unconvertible, text_of

# Enough to search an ordinary result, and little enough to give up on a huge one soon.
_MOST_VISITED = 100_000
_DEEPEST = 64
_GENERATORS = ("generator", "async_generator")
_NUMBERS = (float, int, bool, type(None))


def explain(codec, result, error):
    """Return the message for a result that the encoder rejected with `error`.

    `result` is what it rejected: the result of the function, or what that was converted to.
    """
    name = "JSON" if codec == CODEC_JSON else "MessagePack"
    kind = type(result).__name__
    if isinstance(result, memoryview):
        return "the result (%s) cannot be sent: %s" % (kind, _text(error))
    if kind in _GENERATORS:
        return "the function returned a generator: streaming is not supported; return a list instead"
    if kind == "coroutine":
        result.close()
        return "the function returned a coroutine: declare the function itself with `async def`"
    if isinstance(error, Unconvertible):
        sentence = "%s, which cannot be encoded as %s" % (error.part, name)
        return sentence + ("; " + error.advice if error.advice else "")
    if isinstance(error, RecursionError) or _contains(error, "ecursion limit", "Circular"):
        return "the result (%s) is nested too deeply or contains itself, so it cannot be encoded as %s" % (kind, name)
    try:
        found = _find(codec, result)
    except BaseException:
        found = None
    if found is None:
        found = "the result (%s)" % with_module(type(result))
    return "%s cannot be encoded as %s: %s" % (found, name, _text(error))


def _contains(error, *parts):
    text = str(error)
    return any(part in text for part in parts)


def _find(codec, result):
    # The first part that is a problem, in the order in which the encoder meets them. The stack has
    # the iterators over the open containers.
    stack = [iter([(None, result)])]
    visited = 0
    while stack and visited < _MOST_VISITED:
        try:
            path, value = next(stack[-1])
        except StopIteration:
            stack.pop()
            continue
        visited += 1
        problem = _problem(codec, value)
        if problem is not None:
            return "%s is %s, which" % (text_of(path), problem)
        if len(stack) > _DEEPEST:
            continue
        if isinstance(value, dict):
            for key in value:
                problem = _key_problem(codec, key)
                if problem is not None:
                    return "%s has a key that is %s, which" % (text_of(path), problem)
            stack.append(((path, key), item) for key, item in value.items())
        elif isinstance(value, (list, tuple)):
            stack.append(_items(codec, path, value))
    return None


def _items(codec, path, value):
    if set(map(type, value)) <= set(_NUMBERS):
        # A long list of numbers is searched at once.
        return (((path, at), item) for at, item in enumerate(value) if _problem(codec, item) is not None)
    return (((path, at), item) for at, item in enumerate(value))


def _problem(codec, value):
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "a str with a lone surrogate"
    elif isinstance(value, float):
        if codec == CODEC_JSON and not (value - value == 0):
            return repr(float(value))
    elif isinstance(value, int):
        if codec != CODEC_JSON and not -(1 << 63) <= value < 1 << 64:
            return "an int beyond 64 bits"
    return None


def _key_problem(codec, key):
    if codec == CODEC_JSON and not isinstance(key, (str, int, float, type(None))):
        return "a " + type(key).__name__
    return _problem(codec, key)


def _text(error):
    return str(error) or type(error).__name__
