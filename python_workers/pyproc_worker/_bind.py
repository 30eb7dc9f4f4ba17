"""From the one argument of a call to the parameters of a function (docs/protocol.md, section 4).

Everything is decided once, at start. A function of one parameter is called as it is; the closures
made here are the only frames between the serving loop and user code.
"""

from ._context import cancel_event
from ._describe import POSITIONAL, POSITIONAL_ONLY, VAR_KEYWORD, VAR_POSITIONAL, KEYWORD_ONLY

_FUNCTION_TYPE = type(lambda: None)


def bind(function, parameters, wants_event):
    """Return a callable of one argument that calls `function` as its parameters ask for.

    `parameters` is None where they cannot be known; then the argument is passed as it is.
    """
    shape = _shape(parameters)
    if shape == "one" and not wants_event:
        # What is not a Python function has no frame of its own, which an interrupt needs to see.
        return function if type(function) is _FUNCTION_TYPE else _trampoline(function)
    if wants_event:
        function = _with_event(function)
    if shape == "many":
        return _many(function, [p.name for p in parameters if p.kind == POSITIONAL_ONLY])
    return {"one": _trampoline, "none": _none, "optional": _optional, "keywords": _keywords}[shape](function)


def _shape(parameters):
    if parameters is None:
        return "one"
    positional = [p for p in parameters if p.kind in (POSITIONAL_ONLY, POSITIONAL)]
    kinds = {p.kind for p in parameters}
    required = [p for p in parameters if p.required]
    if len(required) >= 2:
        return "many"
    if any(p.kind == KEYWORD_ONLY for p in required):
        return "keywords"
    if positional:
        return "one" if positional[0].required else "optional"
    if VAR_POSITIONAL in kinds:
        return "one"
    return "keywords" if kinds & {KEYWORD_ONLY, VAR_KEYWORD} else "none"


def _trampoline(function):
    def call(argument):
        return function(argument)

    return call


def _none(function):
    def call(_):
        return function()

    return call


def _optional(function):
    def call(argument):
        return function() if argument is None else function(argument)

    return call


def _keywords(function):
    def call(argument):
        if argument is None:
            return function()
        if type(argument) is not dict:
            raise TypeError("the argument must be an object with the keyword arguments, not %s" % _kind(argument))
        return function(**argument)

    return call


def _many(function, positional_only):
    def call(argument):
        if type(argument) is list:
            return function(*argument)
        if type(argument) is not dict:
            raise TypeError(
                "the argument must be an object or an array, because the function takes several; it is %s"
                % _kind(argument)
            )
        if not positional_only:
            return function(**argument)
        keywords = dict(argument)
        return function(*[keywords.pop(name) for name in positional_only if name in keywords], **keywords)

    return call


def _with_event(function):
    def call(*arguments, **keywords):
        return function(*arguments, cancel_event=cancel_event(), **keywords)

    return call


def _kind(argument):
    return "null" if argument is None else type(argument).__name__
