"""Registers what the script declares: exposed functions, and hooks around serving."""

FUNCTIONS = {}
SETUP = []
TEARDOWN = []


def expose(target=None, *, name=None):
    """Let the host call a function: `@expose`, `@expose("name")` or `@expose(name="name")`.

    Returns the function unchanged. Raises TypeError if it cannot be called, and ValueError if
    another function already has the name.
    """
    if isinstance(target, str):
        if name is not None:
            raise TypeError("expose() was given two names: %r and %r" % (target, name))
        target, name = None, target
    if target is None:
        return lambda function: _register(function, name)
    return _register(target, name)


def setup(function=None):
    """Run a function, `def` or `async def`, before the worker reports that it is ready.

    Hooks run in the order in which they are declared. If one raises, the start fails.
    """
    return _hook(SETUP, function)


def teardown(function=None):
    """Run a function, `def` or `async def`, when the worker ends; the last declared runs first."""
    return _hook(TEARDOWN, function)


def _register(function, name):
    if not callable(function):
        raise TypeError("expose() needs a function, not %r" % type(function).__name__)
    if name is None:
        name = getattr(function, "__name__", None)
    if not isinstance(name, str) or not name:
        raise TypeError("%r has no name: use @expose(name=...)" % (function,))
    known = FUNCTIONS.get(name)
    if known is not None and _origin(known) != _origin(function):
        raise ValueError("two functions are exposed as %r" % name)
    FUNCTIONS[name] = function
    return function


def _origin(function):
    # A script that is also imported as a module declares each function twice. It is the same
    # function if it is written in the same place.
    code = getattr(function, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else id(function)


def _hook(hooks, function):
    if function is None:
        return lambda hooked: _hook(hooks, hooked)
    if not callable(function):
        raise TypeError("a hook must be a function, not %r" % type(function).__name__)
    hooks.append(function)
    return function
