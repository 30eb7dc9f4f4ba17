"""Ends a worker in which threads still run: it waits for them briefly, and then exits."""

import os
import sys
import time

from ._errors import print_error

# How long the worker waits for threads after the last call. A thread cannot be interrupted.
_SECONDS = 1.0

_until = None


def remaining():
    """Return the seconds that are left for threads, counted from the first call of this."""
    global _until
    if _until is None:
        _until = time.monotonic() + _SECONDS
    return max(0.0, _until - time.monotonic())


def leave(code):
    """Exit as `sys.exit(code)` does, but do not wait for threads that do not end in time."""
    threading = sys.modules.get("threading")
    left = [] if threading is None else _left(threading)
    if not left:
        sys.exit(code)
    names = ", ".join(sorted(thread.name for thread in left))
    print_error("pyproc_worker: the process exits although these threads still run: %s\n" % names)
    _run_exit_functions()
    leave_now(code)


def leave_now(code):
    """Exit at once with the status of `SystemExit(code)`, after flushing the standard streams."""
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
        # The interpreter does this at its end, without a limit. Executors end their idle threads.
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
        # Before Python 3.10, it raises again what it has printed.
        pass
