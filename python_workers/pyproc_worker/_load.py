"""Runs the script or the module as `__main__`, as `python worker.py` does."""

import os
import sys

_MODULE = type(sys)


class CannotLoad(Exception):
    """The script or module cannot be found or read."""


def run_script(path):
    """Run a file as `__main__`; its exceptions propagate."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise CannotLoad("can't open file %r: %s" % (path, error.strerror)) from None
    sys.argv = [path]
    _set_first_path(os.path.dirname(os.path.abspath(path)))
    module = _new_main(path)
    # Under this file name, tracebacks show the lines of the source.
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)


def run_module(name):
    """Run a module, or the `__main__` of a package, as `python -m` does."""
    _set_first_path(os.getcwd())
    sys.argv = ["-m"]
    spec = _find(name)
    code = spec.loader.get_code(spec.name) if hasattr(spec.loader, "get_code") else None
    if code is None:
        raise CannotLoad("no code object available for %s" % spec.name)
    sys.argv = [spec.origin]
    module = _new_main(spec.origin)
    module.__spec__ = spec
    module.__loader__ = spec.loader
    module.__package__ = spec.parent
    module.__cached__ = spec.cached
    exec(code, module.__dict__)


def _find(name):
    import importlib.util

    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        # A missing parent package is the caller's mistake; an import that fails inside of one is
        # not.
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            spec = None
        else:
            raise
    if spec is None:
        raise CannotLoad("no module named %s" % name)
    if spec.submodule_search_locations is not None:
        if name.endswith(".__main__"):
            raise CannotLoad("cannot use a package as the __main__ module: %s" % name)
        return _find(name + ".__main__")
    return spec


def _new_main(path):
    module = _MODULE("__main__")
    module.__file__ = path
    module.__builtins__ = sys.modules["builtins"]
    module.__cached__ = None
    # The bootstrap's `__main__` must stay alive, because its frame still runs.
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = module
    return module


def _set_first_path(directory):
    # `python -c` adds an empty entry, which means the current directory.
    sys.path[:] = [entry for entry in sys.path if entry]
    if directory in sys.path:
        sys.path.remove(directory)
    sys.path.insert(0, directory)


_replaced = []
