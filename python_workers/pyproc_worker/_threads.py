"""The end of a worker in which threads still run: they get a moment, and then the process ends without them."""

import os
import sys
import time

from ._errors import print_error

# What runs in threads gets this long after the last call: a thread cannot be interrupted.
_SECONDS = 1.0

_until = None


def remaining():
    """Return the seconds that threads have left; the first time that this is asked they begin to count."""
    global _until
    if _until is None:
        _until = time.monotonic() + _SECONDS
    return max(0.0, _until - time.monotonic())


def leave(code):
    """End the process as `sys.exit(code)` does, but without threads that do not end in time."""
    threading = sys.modules.get("threading")
    left = [] if threading is None else _left(threading)
    if not left:
        sys.exit(code)
    names = ", ".join(sorted(thread.name for thread in left))
    print_error("pyproc_worker: the process ends without threads that have not ended: %s\n" % names)
    _run_exit_functions()
    leave_now(code)


def leave_now(code):
    """End the process at once with the status of `SystemExit(code)`; what was printed is flushed."""
    status = code if isinstance(code, int) else int(code is not None)
    try:
        if not isinstance(code, (int, type(None))):
            print_error("%s\n" % (code,))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status & 0xFF)


def _left(threading):
    if not _running(threading):
        return []

    def wait():
        # What the interpreter does at its end, without a limit: executors end their idle threads.
        for function in reversed(getattr(threading, "_threading_atexits", ())):
            function()
        for thread in _running(threading):
            thread.join()

    waiting = threading.Thread(target=wait, name="pyproc_worker end", daemon=True)
    waiting.start()
    waiting.join(remaining())
    return _running(threading) if waiting.is_alive() else []


def _running(threading):
    main = threading.main_thread()
    return [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]


def _run_exit_functions():
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException:
        # Before Python 3.10 it raises again what it has printed.
        pass
