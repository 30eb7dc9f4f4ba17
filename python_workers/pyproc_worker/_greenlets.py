"""Interrupts in a worker that uses gevent: the call waits in its greenlet while gevent's hub runs.

The signal handler runs in whichever greenlet is active. When that is not the one of the call, the
handler has the hub throw `CallCancelled` into the call's greenlet, as `gevent.Timeout` does.
"""

import sys
import time

from ._context import STATE, CallCancelled
from ._interrupt import asked, may_raise, on_interrupt

_WARNING = (
    "pyproc_worker: eventlet has patched this worker: a call that waits cannot be interrupted, so each call that is"
    " cancelled or passes its deadline while it runs costs its process; use gevent or asyncio instead\n"
)


def warning():
    """Return why calls of this worker cannot be interrupted, or None."""
    # time.sleep() is then a function of eventlet's.
    patched = str(getattr(time.sleep, "__module__", "")).partition(".")[0] == "eventlet"
    return _WARNING if patched else None


def handler():
    """Return the handler of the interrupt signal for calls of the current greenlet."""
    getcurrent = getattr(sys.modules.get("greenlet"), "getcurrent", None)
    if getcurrent is None:
        return on_interrupt
    home = getcurrent()

    def throw():
        # Some time has passed, in which the call may have ended.
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
