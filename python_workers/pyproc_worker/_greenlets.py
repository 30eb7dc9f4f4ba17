"""Interrupts calls in a worker that uses gevent.

The signal handler runs in the active greenlet. While the call waits, that is gevent's hub; the
handler then makes the hub throw `CallCancelled` into the call's greenlet, as `gevent.Timeout` does.
"""

import sys
import time

from ._context import STATE, CallCancelled
from ._interrupt import asked, may_raise, on_interrupt

_WARNING = (
    "pyproc_worker: eventlet has patched this worker: a call that waits cannot be interrupted, so the host kills the"
    " process for each running call that is cancelled or passes its deadline; use gevent or asyncio instead\n"
)


def warning():
    """Return why calls of this worker cannot be interrupted, or None."""
    # eventlet replaces time.sleep().
    patched = str(getattr(time.sleep, "__module__", "")).partition(".")[0] == "eventlet"
    return _WARNING if patched else None


def handler():
    """Return the handler of the interrupt signal for calls of the current greenlet."""
    getcurrent = getattr(sys.modules.get("greenlet"), "getcurrent", None)
    if getcurrent is None:
        return on_interrupt
    home = getcurrent()

    def throw():
        # The call may have ended since the signal.
        state = STATE
        call = state.armed
        frame = home.gr_frame
        if frame is not None and asked(call) and may_raise(call, frame, state.cooperative == call):
            home.throw(CallCancelled("the call was cancelled"))

    def on_signal(number, frame):
        gevent = sys.modules.get("gevent")
        if gevent is None or getcurrent() is home:
            on_interrupt(number, frame)
        elif asked(STATE.armed):
            gevent.get_hub().loop.run_callback(throw)

    return on_signal
