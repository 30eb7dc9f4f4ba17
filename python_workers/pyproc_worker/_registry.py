"""Registers what the script declares: exposed functions, and hooks around serving."""

FUNCTIONS = {}
# How the arguments of some functions are bound, by their names: "whole" or "keywords".
ARGUMENTS = {}
SETUP = []
TEARDOWN = []

# Wrappers can wrap each other in a circle.
_DEEPEST_WRAPPER = 100


def expose(target=None, *, name=None, args=None):
    """Let the host call a function: `@expose`, `@expose("name")` or `@expose(name="name")`.

    `args` says how the argument of a call reaches the parameters, instead of the signature:
    "whole" passes it to the first parameter as one value, and "keywords" takes an object with the
    names of parameters. Returns the function unchanged. Raises TypeError if it cannot be called or
    bound so, and ValueError if another function already has the name.
    """
    if isinstance(target, str):
        if name is not None:
            raise TypeError("expose() was given two names: %r and %r" % (target, name))
        target, name = None, target
    if args not in (None, "whole", "keywords"):
        raise TypeError('expose() takes args="whole" or args="keywords", not %r' % (args,))
    if target is None:
        return lambda function: _register(function, name, args)
    return _register(target, name, args)


def setup(function=None):
    """Run a function, `def` or `async def`, before the worker reports that it is ready.

    Hooks run in the order in which they are declared. If one raises, the start fails.
    """
    return _hook(SETUP, function)


def teardown(function=None):
    """Run a function, `def` or `async def`, when the worker ends; the last declared runs first."""
    return _hook(TEARDOWN, function)


def _register(function, name, args):
    if not callable(function):
        raise TypeError("expose() needs a function, not %r" % type(function).__name__)
    if name is None:
        name = getattr(function, "__name__", None)
    if not isinstance(name, str) or not name:
        raise TypeError("%r has no name: use @expose(name=...)" % (function,))
    known = FUNCTIONS.get(name)
    if known is not None and not _is_same(known, function):
        raise ValueError("two functions are exposed as %r" % name)
    if args is not None:
        from ._bind import check

        check(function, args)
    FUNCTIONS[name] = function
    ARGUMENTS[name] = args
    return function


def _is_same(known, function):
    if known is function:
        return True
    before, now = _code_of(known), _code_of(function)
    # Two functions with one code are closures, such as those that a decorator returns.
    if before is None or now is None or before is now:
        return False
    # A script that is also imported as a module declares each function twice. It is the same
    # function if it is written in the same place.
    if (before.co_filename, before.co_firstlineno) == (now.co_filename, now.co_firstlineno):
        return True
    # A cell of a notebook that runs again declares a new version of the function.
    return (
        _is_cell(before.co_filename)
        and _is_cell(now.co_filename)
        and (known.__module__, known.__qualname__) == (function.__module__, function.__qualname__)
    )


def _code_of(function):
    for _ in range(_DEEPEST_WRAPPER):
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    return getattr(function, "__code__", None)


def _is_cell(file):
    # Notebooks and shells name the code of a cell so.
    return file.startswith(("<ipython-input-", "<stdin>")) or "/ipykernel_" in file


def _hook(hooks, function):
    if function is None:
        return lambda hooked: _hook(hooks, hooked)
    if not callable(function):
        raise TypeError("a hook must be a function, not %r" % type(function).__name__)
    hooks.append(function)
    return function
