"""What `testing` needs in the place of a host: calls, a slot table and a registry of its own.

The main structures are `CallsInProcess` and `Registry`.
"""

import asyncio
import threading
from _thread import get_ident

from . import _registry, _trace
from ._calls import FINISHED, Calls
from ._context import STATE, CallContext
from ._frames import DEFAULT_MAX_FRAME, LENGTH_BASE


class CallsInProcess(Calls):
    """Runs calls as in a worker, and keeps the exception itself."""

    def __init__(self, bound, names, table):
        functions, absent = [one.call for one in bound], [one.absent for one in bound]
        super().__init__(functions, names, table, DEFAULT_MAX_FRAME, absent)
        self.error = None

    def raised(self, call, error):
        self.error = error
        return super().raised(call, error)

    def result(self, codec, result):
        kind, codec, payload = super().result(codec, result)
        if len(payload) + LENGTH_BASE > self.max_frame:
            return self.too_large(kind, codec, payload)
        return kind, codec, payload

    async def run_in_loop(self, codec, function, payload):
        """Run a call of an `async def` function, as the loop of a worker does."""
        from ._async_loop import _CURRENT

        begun = self.begin(codec, function, 0, payload)
        if len(begun) == 3:
            return begun
        called, argument, metadata, codec = begun
        context = CallContext(0, STATE, metadata)
        context._task = asyncio.current_task()
        STATE.task_context = _CURRENT
        _CURRENT.set(context)
        if metadata:
            _trace.attach(metadata)
        try:
            result = await called(argument)
            self.phase[0] = FINISHED
        except BaseException as error:
            return self.raised(0, error)
        finally:
            context._end()
        return self.result(codec, result)


class Registry:
    """What scripts and modules have declared."""

    @classmethod
    def live(cls):
        """Return the registry that `@expose` and the hooks write to."""
        return cls(_registry.FUNCTIONS, _registry.ARGUMENTS, _registry.SETUP, _registry.TEARDOWN)

    def __init__(self, functions, arguments, setup, teardown):
        self.functions = functions
        self.arguments = arguments
        self.setup = setup
        self.teardown = teardown
        # The version that calls know.
        self.bound = None

    def version(self):
        """Return a value that changes when functions are exposed."""
        return [(name, id(function), self.arguments.get(name)) for name, function in self.functions.items()]

    def all(self):
        """Return every function and hook."""
        return [*self.functions.values(), *self.setup, *self.teardown]

    def copy(self):
        """Return an independent registry with the same content."""
        return Registry(dict(self.functions), dict(self.arguments), list(self.setup), list(self.teardown))

    def clear(self):
        """Remove everything."""
        for part in (self.functions, self.arguments, self.setup, self.teardown):
            part.clear()

    def replace(self, other):
        """Take the content of another registry."""
        self.clear()
        self.functions.update(other.functions)
        self.arguments.update(other.arguments)
        self.setup += other.setup
        self.teardown += other.teardown


class Table:
    """The slot table of one call."""

    def __init__(self):
        self.phase = bytearray(1)
        self.marks = bytearray(1)
        self.deadlines = bytearray(8)


class Loaded(BaseException):
    """`run_worker()` was called: the script has loaded."""


class Loading:
    """Stands for the worker process while a script loads."""

    def run(self):
        raise Loaded


def beside_running_loop(run):
    """Run a function that runs an event loop, even if one runs in this thread, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    outcome = []

    def keep():
        STATE.main_thread = get_ident()
        try:
            outcome.append((run(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=keep, name="pyproc_worker.testing")
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
