"""Decides how the one argument of a call reaches the parameters of a function.

The worker decides this once, at start, and Ready states it (docs/protocol.md, section 3); nothing
else has rules of its own. A function of one parameter is called directly; the closures made here
are the only frames between the serving loop and user code.
"""

from ._context import cancel_event
from ._describe import KEYWORD_ONLY, POSITIONAL, POSITIONAL_ONLY, VAR_KEYWORD, VAR_POSITIONAL

# The signature cannot be read; the argument is passed as it is.
UNKNOWN = "unknown"
# The function takes no argument; whatever is sent is dropped.
NOTHING = "nothing"
# The argument is passed as it is to the first parameter, which is required or `*args`.
WHOLE = "whole"
# The same, but null stands for the default of the first parameter.
WHOLE_OR_DEFAULT = "whole_or_default"
# The argument is an object of keyword arguments; null stands for an empty one.
BY_NAME = "by_name"
# The argument is an object of keyword arguments or an array of positional ones.
BY_NAME_OR_POSITION = "by_name_or_position"

_FUNCTION_TYPE = type(lambda: None)


def binding_of(signature):
    """Return how an argument is bound to the parameters of a signature."""
    parameters = signature.parameters
    if parameters is None:
        return UNKNOWN
    if not parameters:
        return NOTHING
    required = [p for p in parameters if p.required]
    if any(p.kind == KEYWORD_ONLY for p in required):
        return BY_NAME
    if len(required) >= 2:
        return BY_NAME_OR_POSITION
    first = parameters[0]
    if first.kind in (POSITIONAL_ONLY, POSITIONAL):
        return WHOLE if first.required else WHOLE_OR_DEFAULT
    return WHOLE if first.kind == VAR_POSITIONAL else BY_NAME


def bind(function, signature):
    """Return a callable that passes its one argument to `function` as `binding_of` says."""
    binding = binding_of(signature)
    if binding in (UNKNOWN, WHOLE) and not signature.takes_event:
        # An interrupt needs a frame to see, and only Python functions have one.
        return function if type(function) is _FUNCTION_TYPE else _whole(function)
    if signature.takes_event:
        function = _with_event(function)
    if binding in (BY_NAME, BY_NAME_OR_POSITION):
        names = [p.name for p in signature.parameters if p.kind == POSITIONAL_ONLY]
        if names:
            function = _with_positional_only(function, names)
    return _BINDERS[binding](function)


def _whole(function):
    def call(argument):
        return function(argument)

    return call


def _nothing(function):
    def call(_):
        return function()

    return call


def _whole_or_default(function):
    def call(argument):
        return function() if argument is None else function(argument)

    return call


def _by_name(function):
    def call(argument):
        if argument is None:
            return function()
        if type(argument) is not dict:
            raise TypeError("the argument must be an object of keyword arguments, not %s" % _kind(argument))
        return function(**argument)

    return call


def _by_name_or_position(function):
    def call(argument):
        if type(argument) is list:
            return function(*argument)
        if type(argument) is not dict:
            raise TypeError(
                "the function takes several arguments, so the argument must be an object or an array, not %s"
                % _kind(argument)
            )
        return function(**argument)

    return call


_BINDERS = {
    UNKNOWN: _whole,
    NOTHING: _nothing,
    WHOLE: _whole,
    WHOLE_OR_DEFAULT: _whole_or_default,
    BY_NAME: _by_name,
    BY_NAME_OR_POSITION: _by_name_or_position,
}


def _with_positional_only(function, names):
    # Takes positional-only parameters by name too. After a gap the rest stay keywords, which
    # Python rejects, so that no value reaches the parameter before its own.
    def call(*arguments, **keywords):
        for name in names[len(arguments) :]:
            if name not in keywords:
                break
            arguments += (keywords.pop(name),)
        return function(*arguments, **keywords)

    return call


def _with_event(function):
    def call(*arguments, **keywords):
        return function(*arguments, cancel_event=cancel_event(), **keywords)

    return call


def _kind(argument):
    return "null" if argument is None else type(argument).__name__
