"""Calls exposed functions in the process of a test, as a worker would call them for its host.

The functions of a worker script:

    from pyproc_worker import testing

    def test_predict():
        with testing.worker("worker.py") as worker:
            assert worker.call("predict", {"value": 21}) == {"result": 42}

Those of modules that the test has imported need no script:

    import model

    def test_predict():
        assert testing.call("predict", {"value": 21}) == {"result": 42}

A call runs what the host would run, without a host and without a process: the setup hooks before
the first call, the encoding of the argument, its binding and conversion, the function, and the
encoding of the result. It returns the decoded result, or raises the function's own exception. An
argument that does not fit the function raises `InvalidArgument`.

A fixture of pytest that loads the script once:

    @pytest.fixture(scope="session")
    def worker():
        with testing.worker("worker.py") as worker:
            yield worker

In unittest, `setUpClass` calls `testing.worker(...)`, and `addClassCleanup(worker.close)` ends it.
"""

import asyncio
import atexit
import contextlib
import os
import sys
import threading
import time
from _thread import get_ident

from . import _codec, _worker
from ._context import STATE
from ._describe import is_async
from ._errors import type_name
from ._frames import (
    ABSENT,
    CODEC_BYTES,
    CODEC_JSON,
    CODEC_MSGPACK,
    ERROR,
    INVALID_ARGUMENT,
    METADATA,
    RAISED,
    UNDECODABLE,
)
from ._in_process import Loaded, Loading, Registry, Table, CallsInProcess, beside_running_loop

__all__ = [
    "ArgumentError",
    "DecodeError",
    "EncodeError",
    "InvalidArgument",
    "UnknownFunction",
    "Worker",
    "call",
    "teardown",
    "worker",
]

_CODECS = {"json": CODEC_JSON, "msgpack": CODEC_MSGPACK}
_MISSING = type("_Missing", (), {"__repr__": lambda self: "<no argument>"})()


class ArgumentError:
    """One place where an argument does not fit: `path`, `message`, `kind`.

    The path begins with the name of a parameter, as in `items[2].price`; it is empty for the whole
    argument. The kind is `missing`, `unknown`, `type` or `value`.
    """

    __slots__ = ("path", "message", "kind")

    def __init__(self, path, message, kind):
        self.path = path
        self.message = message
        self.kind = kind

    def __str__(self):
        return "%s: %s" % (self.path, self.message) if self.path else self.message

    def __repr__(self):
        return "ArgumentError(%r, %r, %r)" % (self.path, self.message, self.kind)


class InvalidArgument(Exception):
    """The argument does not fit the function, which did not run: `errors` are `ArgumentError`s."""

    def __init__(self, errors):
        self.errors = list(errors)
        super().__init__("; ".join(map(str, self.errors)))


class UnknownFunction(LookupError):
    """No function is exposed under this name."""


class EncodeError(Exception):
    """The function ran, but its result cannot be sent to a host."""


class DecodeError(Exception):
    """The argument cannot be decoded; the function did not run."""


def worker(script=None, *, module=None):
    """Return a `Worker` that has loaded a script, or a module as `python -m` does.

    It is loaded as a worker process does it: as `__main__`, with its directory in front of
    `sys.path`, and `run_worker()` ends the loading. Then its setup hooks run. The modules of the
    process that expose functions themselves are loaded once more for it. Outside of its calls the
    process is as it was before. Raises what the script or a hook raises.
    """
    if (script is None) == (module is None):
        raise TypeError("worker() takes a script or a module")
    loaded = Worker()
    try:
        loaded._load(script, module)
        loaded._set_up()
    except BaseException:
        loaded.close()
        raise
    return loaded


def call(function, argument=_MISSING, *, codec="json", metadata=None, timeout=None):
    """Call a function that an imported module has exposed, as `Worker.call` does.

    The setup hooks of the modules run before the first call, their teardown hooks when the process
    exits or in `teardown()`.
    """
    __tracebackhide__ = True
    return _imported_worker().call(function, argument, codec=codec, metadata=metadata, timeout=timeout)


def teardown():
    """Run the teardown hooks of imported modules; the next call sets them up again."""
    global _imported
    ended, _imported = _imported, None
    if ended is not None:
        ended.close()


_imported = None


def _imported_worker():
    global _imported
    if _imported is None:
        _imported = Worker()
        _imported._registry = Registry.live()
        atexit.register(teardown)
    _imported._set_up()
    return _imported


class Worker:
    """The exposed functions of a script or of imported modules, ready to be called.

    It is a context manager: the end of the block runs the teardown hooks.
    """

    def __init__(self):
        self._registry = Registry({}, {}, [], [])
        # What is different in the process while code of the worker runs.
        self._modules = {}
        self._path = None
        self._argv = None
        self._table = Table()
        self._calls = None
        self._functions = {}
        self._hooks_run = []
        self._loop = None
        self._lock = threading.RLock()
        self.functions = []

    def call(self, function, argument=_MISSING, *, codec="json", metadata=None, timeout=None):
        """Call a function and return its decoded result.

        `argument` is data, as a caller sends it. Bytes are sent raw; without an argument the call
        has none. `codec` is "json" or "msgpack". `metadata` and the deadline in `timeout` seconds
        are what `current_call()` shows; nothing interrupts the function. For an `async def`
        function this waits until it has ended, also in a running event loop.

        Raises `InvalidArgument`, `UnknownFunction`, `EncodeError`, or what the function raises.
        """
        __tracebackhide__ = True
        with self._lock, self._entered():
            if function not in self._functions:
                known = ", ".join(self._functions) or "no function"
                raise UnknownFunction("unknown function %r; exposed: %s" % (function, known))
            codec, payload = _encode_argument(function, argument, codec)
            if metadata:
                block = _codec.dump_json(metadata)
                codec, payload = codec | METADATA, len(block).to_bytes(2, "big") + block + payload
            deadline = 0 if timeout is None else time.monotonic_ns() + int(timeout * 1e9)
            self._table.deadlines[:] = deadline.to_bytes(8, sys.byteorder)
            self._table.marks[0] = 0
            number, runs_in_loop = self._functions[function]
            if runs_in_loop:
                answer = self._wait(self._calls.run_in_loop(codec, number, payload))
            else:
                answer = self._calls.run(codec, number, 0, payload)
            return self._result(*answer)

    def close(self):
        """Run the teardown hooks, the last declared first; only the first call has an effect.

        All of them run. The first exception of one is raised.
        """
        hooks, self._hooks_run = list(self._hooks_run), []
        raised = None
        with self._lock, self._entered():
            for hook in reversed(self._registry.teardown) if hooks else ():
                try:
                    self._run_hook(hook)
                except BaseException as error:
                    raised = raised or error
            if self._loop is not None:
                from ._async_loop import close_loop

                loop, self._loop = self._loop, None
                beside_running_loop(lambda: close_loop(loop))
        self._functions = {}
        if raised is not None:
            raise raised

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _load(self, script, module):
        from ._load import CannotLoad, run_module, run_script

        before = Registry.live().copy()
        Registry.live().clear()
        # A worker process imports these afresh, so that what they expose is registered again.
        names = {getattr(function, "__module__", None) for function in before.all()} - {"__main__", __name__}
        kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
        main, argv, path, host = sys.modules["__main__"], sys.argv, sys.path[:], _worker._worker
        _worker._worker = Loading()
        try:
            if module is None:
                run_script(os.path.abspath(script))
            else:
                run_module(module)
        except Loaded:
            pass
        except CannotLoad as error:
            kind = FileNotFoundError if module is None else ModuleNotFoundError
            raise kind(str(error)) from None
        finally:
            self._argv, self._path = sys.argv, sys.path[0]
            self._modules = {name: sys.modules[name] for name in ("__main__", *kept) if name in sys.modules}
            self._registry = Registry.live().copy()
            Registry.live().replace(before)
            sys.modules.update(kept)
            sys.modules["__main__"] = main
            sys.argv, sys.path[:], _worker._worker = argv, path, host
        if not self._registry.functions:
            raise LookupError("%s exposes no function" % (script or module))

    @contextlib.contextmanager
    def _entered(self):
        # The process is as the worker's while its code runs.
        state = {name: getattr(STATE, name) for name in STATE.__slots__}
        modules = {name: sys.modules.get(name) for name in self._modules}
        argv = sys.argv
        STATE.marks, STATE.deadlines, STATE.main_thread = self._table.marks, self._table.deadlines, get_ident()
        STATE.context = None
        sys.modules.update(self._modules)
        if self._path is not None:
            sys.path.insert(0, self._path)
            sys.argv = self._argv
        try:
            yield
        finally:
            if self._path is not None and self._path in sys.path:
                sys.path.remove(self._path)
            sys.argv = argv
            for name, module in modules.items():
                if module is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = module
            for name, value in state.items():
                setattr(STATE, name, value)

    def _set_up(self):
        registry = self._registry
        with self._lock, self._entered():
            changed = registry.version() != registry.bound
            if changed:
                bound, ready, named = _worker.bind_all(registry.functions, registry.arguments)
                self.functions = ready["functions"]
                kinds = [function["kind"] == "async" for function in self.functions]
                names = [function["name"] for function in self.functions]
                self._functions = {name: (at, kinds[at]) for at, name in enumerate(names)}
            for hook in list(registry.setup):
                if hook not in self._hooks_run:
                    self._run_hook(hook)
                    self._hooks_run.append(hook)
            if changed:
                _worker.convert_named_tuples(registry.functions, bound, named)
                self._calls = CallsInProcess(bound, names, self._table)
                registry.bound = registry.version()
            # There is something to tear down, even without setup hooks.
            if not self._hooks_run:
                self._hooks_run.append(None)

    def _run_hook(self, hook):
        if is_async(hook):
            self._wait(hook())
        else:
            hook()

    def _wait(self, coroutine):
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return beside_running_loop(lambda: self._loop.run_until_complete(coroutine))

    def _result(self, kind, codec, payload):
        __tracebackhide__ = True
        error, self._calls.error = self._calls.error, None
        if kind != ERROR:
            return _codec.decode(codec, bytes(payload))
        if codec == RAISED and error is not None:
            raise error
        failure = _codec.load_json(payload)
        if codec == INVALID_ARGUMENT:
            raise InvalidArgument([ArgumentError(**error) for error in failure["errors"]])
        raise (DecodeError if codec == UNDECODABLE else EncodeError)(failure["message"])


def _encode_argument(function, argument, codec):
    if codec not in _CODECS:
        raise ValueError('the codec must be "json" or "msgpack", not %r' % (codec,))
    if argument is _MISSING:
        return _CODECS[codec] | ABSENT, b""
    if isinstance(argument, (bytes, bytearray, memoryview)) and codec == "json":
        return CODEC_BYTES, bytes(argument)
    number = _CODECS[codec]
    try:
        return number, _codec.DUMPS[number](argument)
    except Exception as error:
        message = "the argument of %r is not data that a caller can send: %s: %s" % (function, type_name(error), error)
    raise TypeError(message)
