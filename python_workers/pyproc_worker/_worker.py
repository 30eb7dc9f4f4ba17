"""The life of a worker: setup hooks, Ready, serving, teardown. The main structure is `Worker`."""

import _signal
import os
import sys
from _thread import get_ident

from . import _errors, _registry
from ._bind import bind
from ._calls import Calls
from ._codec import dump_text, use_library
from ._context import STATE
from ._describe import Annotations, describe, is_async, read_signature, scope_of
from ._frames import FAILED, READY, ProtocolError, frame
from ._interrupt import on_interrupt

_BY_HAND = """\
%(script)s is a worker of actix-pyproc: it serves the host process that starts it.
To try it, use the pyproc command as the host:
    pyproc check %(script)s
    pyproc call %(script)s %(call)s
    pyproc serve %(script)s
"""

# How often a worker that must stop interrupts the running call.
_AGAIN_SECONDS = 0.02

_worker = None


class StartError(Exception):
    """The worker cannot serve, for a reason that needs no traceback."""


def run_worker(*_arguments, **_options):
    """Serve the exposed functions until the host ends the worker; then return.

    A script that does not call this serves when it ends. Arguments, such as a socket path, are
    accepted and ignored. In a process that the worker has started (`multiprocessing`) this does
    nothing. Without a host it prints how to start one and exits with 2.
    """
    if _worker is not None:
        _worker.run()
    elif not _is_child(sys._getframe(1)):
        script = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "worker.py"
        sys.stderr.write(_BY_HAND % {"script": script, "call": _example()})
        sys.exit(2)


def _example():
    # The first exposed function, with what it requires.
    for name, function in _registry.FUNCTIONS.items():
        code = getattr(function, "__code__", None)
        if code is None:
            return "%s JSON" % name
        positional = code.co_varnames[: code.co_argcount - len(function.__defaults__ or ())]
        keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        required = positional + tuple(k for k in keyword if k not in (function.__kwdefaults__ or ()))
        required = [parameter for parameter in required if parameter != "cancel_event"]
        if len(required) == 1 and not keyword:
            return "%s JSON" % name
        return " ".join([name] + ["%s=..." % parameter for parameter in required])
    return "FUNCTION JSON"


def _is_child(frame):
    # The children of multiprocessing's spawn and forkserver import the script as `__mp_main__`.
    if STATE.forked or frame.f_globals.get("__name__") == "__mp_main__":
        return True
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def bind_all(functions, arguments):
    """Return how each function is called, Ready, and the NamedTuples that each result may have."""
    bound, described, named = [], [], []
    annotations = Annotations()
    for name, function in functions.items():
        signature = read_signature(function, annotations)
        bound.append(bind(function, signature, arguments.get(name)))
        described.append(describe(name, function, signature, bound[-1]))
        named.append(() if signature.returns is None else signature.returns.named_tuples)
    return bound, {"functions": described, "definitions": annotations.definitions}, named


def convert_named_tuples(functions, bound, named):
    """Make functions return objects in place of NamedTuples, where they may return some."""
    scopes = {}
    for function, one, classes in zip(functions.values(), bound, named):
        scope = scope_of(function)
        if id(scope) not in scopes:
            scopes[id(scope)] = _defines_named_tuple(scope)
        if classes or scopes[id(scope)]:
            from ._named_tuples import converted

            one.call = converted(one.call, is_async(function), classes)
            one.absent = converted(one.absent, is_async(function), classes)


def _defines_named_tuple(scope):
    # Most scripts have none: then the module is not imported.
    if not any(issubclass(type(one), type) and tuple in one.__mro__ and hasattr(one, "_fields") for one in list(scope.values())):
        return False
    from ._named_tuples import defines_one

    return defines_one(scope)


class Worker:
    """A worker process, from the loaded script to its end. It serves once."""

    def __init__(self, channel, table, hello):
        self.channel = channel
        self.table = table
        self.hello = hello
        self.begun = False
        self.failed = False
        # The handler of SIGALRM before SIGTERM arrived.
        self._alarm = None
        # For each thread that forks, the signals that it had blocked before.
        self._masks = {}
        # Wraps each function for the debugger of `pyproc call --pdb`.
        self.watched = None
        # The event loop, if a function or a hook is `async def`.
        self.loop = None

    def install(self):
        """Make this the worker that `run_worker` serves."""
        global _worker
        _worker = self
        STATE.marks = self.table.marks
        STATE.deadlines = self.table.deadlines
        os.register_at_fork(
            before=self._before_fork, after_in_parent=self._after_fork_in_parent, after_in_child=self._after_fork
        )

    def use_json_library(self):
        """Use the JSON library that Hello names; raises StartError if it cannot be imported."""
        name = self.hello["json"]
        if name == "stdlib":
            return
        try:
            use_library(name)
        except Exception as error:
            raise StartError(
                'failed to import %s, which json = "%s" requires: %s; install it with `%s -m pip install %s`'
                % (name, name, error, sys.executable, name)
            ) from None

    def run(self):
        """Serve, once; if a setup hook fails, report that and exit with 1."""
        if self.begun or STATE.forked:
            return
        if get_ident() != STATE.main_thread:
            raise RuntimeError("run_worker() must be called in the main thread")
        self.begun = True
        try:
            bound, ready = self._prepare()
        except BaseException as error:
            self.fail(error)
            raise SystemExit(1) from None
        self._serve(bound, ready)

    def fail(self, error):
        """Report why the worker cannot start: to the host with Failed, and on standard error."""
        self.failed = True
        if isinstance(error, StartError):
            kind, message, text = "StartError", str(error), ""
            _errors.print_error("%s\n" % message)
        else:
            kind, message = _errors.type_name(error), _errors.message_of(error)
            if isinstance(error, SystemExit):
                message = "sys.exit(%s) was called before the worker was ready" % message
            text = _errors.traceback_text(error)
            _errors.print_error(text)
        try:
            self.channel.sendall(frame(FAILED, 1, 0, 0, _errors.payload(kind, message, text)))
        except OSError:
            # The host is dead; standard error has the report.
            pass

    def _prepare(self):
        if not _registry.FUNCTIONS:
            raise StartError(
                "%s exposes no function: put @expose from pyproc_worker before the functions that the host may call"
                % (sys.argv[0] or "the worker")
            )
        bound, ready, named = bind_all(_registry.FUNCTIONS, _registry.ARGUMENTS)
        if self.watched is not None:
            for one, entry in zip(bound, ready["functions"]):
                one.call = self.watched(one.call, entry["kind"] == "async")
                one.absent = self.watched(one.absent, entry["kind"] == "async")
        hooks = _registry.SETUP + _registry.TEARDOWN
        if any(map(is_async, hooks)) or any(entry["kind"] == "async" for entry in ready["functions"]):
            from ._async_loop import new_loop

            self.loop = new_loop()
        for hook in _registry.SETUP:
            self._run_hook(hook)
        # The hooks may define classes.
        convert_named_tuples(_registry.FUNCTIONS, bound, named)
        return bound, ready

    def _run_hook(self, hook):
        if is_async(hook):
            self.loop.run_until_complete(hook())
        else:
            hook()

    def _serve(self, bound, ready):
        kinds = [entry["kind"] == "async" for entry in ready["functions"]]
        names = [entry["name"] for entry in ready["functions"]]
        functions, absent = [one.call for one in bound], [one.absent for one in bound]
        calls = Calls(functions, names, self.table, self.hello["max_frame"], absent)
        if self.hello["faults"]:
            calls.inject = self._injector(calls, kinds)
        self._handle_signals(functions)
        leaving = None
        try:
            self.channel.sendall(frame(READY, 1, 0, 0, dump_text(ready)))
            _freeze()
            if any(kinds):
                from ._async_loop import serve

                serve(self, calls, kinds)
            else:
                from ._sync_loop import serve

                serve(self.channel, calls, self.hello["flush_us"] * 1000)
        except BaseException as error:
            leaving = self._why(error)
        self._end()
        if leaving is not None:
            raise leaving

    def _why(self, error):
        # The exception to exit with after the loop has ended with this one, or None.
        if _errors.is_foreign(error):
            if isinstance(error, SystemExit):
                return error
            _errors.print_error(_errors.traceback_text(error))
            _errors.print_error("pyproc_worker: a signal handler raised this outside of a call, which ends the worker\n")
            return SystemExit(1)
        if isinstance(error, (ProtocolError, EOFError)):
            _errors.print_error("pyproc_worker: protocol error: %s\n" % error)
            return SystemExit(1)
        # The host is dead: a write found the end of the socket.
        return None if isinstance(error, ConnectionError) else error

    def _injector(self, calls, kinds):
        def on_fault(payload, send):
            from ._faults import inject

            inject(payload, send, self.channel, calls, kinds)

        return on_fault

    def _end(self):
        STATE.stopping = True
        STATE.armed = -1
        _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
        _signal.signal(self.hello["interrupt_signal"], _signal.SIG_IGN)
        if self._alarm is not None:
            _signal.setitimer(_signal.ITIMER_REAL, 0)
            _signal.signal(_signal.SIGALRM, self._alarm)
        for hook in reversed(_registry.TEARDOWN):
            try:
                self._run_hook(hook)
            except BaseException as error:
                _errors.print_error(_errors.traceback_text(error))
        if self.loop is not None:
            from ._async_loop import close_loop

            close_loop(self.loop)
        self.channel.close()

    def _handle_signals(self, functions):
        def on_terminate(number, interrupted):
            # Calls that have not started are skipped, and the loop finds the end of its socket.
            STATE.stopping = True
            functions.clear()
            self.channel.stop_reading()
            # The call may be in code that must not be interrupted, or swallow it: repeat.
            self._alarm = _signal.signal(_signal.SIGALRM, self.interrupt)
            _signal.setitimer(_signal.ITIMER_REAL, _AGAIN_SECONDS, _AGAIN_SECONDS)
            self.interrupt(number, interrupted)

        self.set_interrupt_handler(self._interrupt_handler())
        _signal.signal(_signal.SIGTERM, on_terminate)
        self._on_terminate = on_terminate

    @staticmethod
    def _interrupt_handler():
        if "greenlet" not in sys.modules and "eventlet" not in sys.modules:
            return on_interrupt
        from . import _greenlets

        warning = _greenlets.warning()
        if warning is not None:
            _errors.print_error(warning)
        return _greenlets.handler()

    def set_interrupt_handler(self, handler):
        """Install the handler of the interrupt signal, which SIGTERM calls too."""
        self.interrupt = handler
        _signal.signal(self.hello["interrupt_signal"], handler)

    def _before_fork(self):
        # Until the child has reset its handlers, it would lose a SIGTERM, and Process.terminate()
        # would have no effect.
        self._masks[get_ident()] = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))

    def _after_fork_in_parent(self):
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._masks.pop(get_ident(), ()))

    def _after_fork(self):
        # The child has no calls and no host, and must not touch those of its parent.
        STATE.forked = True
        # Not -1: to the loops that means that the function has returned.
        STATE.armed = -2
        self.table.release()
        self.channel.close()
        if _signal.getsignal(_signal.SIGTERM) is getattr(self, "_on_terminate", None):
            _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
        self._after_fork_in_parent()


def _freeze():
    # The objects that the script has loaded stay alive; later collections need not visit them.
    import gc

    gc.collect()
    gc.freeze()
