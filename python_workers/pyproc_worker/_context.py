"""The running call, for the loops, the signal handlers and user code.

The main structures are `State` and `CallContext`.
"""

import time
from _struct import Struct
from _thread import get_ident

from ._frames import INDEX_MASK

_U64 = Struct("=Q")

# How often a wait for a cancellation reads the mark. A lock could be left taken by a signal
# handler.
_POLL_SECONDS = 0.01


class CallCancelled(BaseException):
    """Raised inside an exposed function whose call was cancelled or has passed its deadline.

    It is a BaseException so that `except Exception` does not swallow it. Clean up in `finally`. A
    function that swallows it and continues is interrupted again.
    """


class State:
    """Which call is running. Signal handlers read it, so it has only plain values."""

    __slots__ = (
        "armed",
        "marks",
        "deadlines",
        "raised_call",
        "raised_at",
        "cooperative",
        "stopping",
        "forked",
        "context",
        "metadata_call",
        "metadata",
        "task_context",
        "main_thread",
    )

    def __init__(self):
        # The id of the call whose function is running, or -1.
        self.armed = -1
        self.marks = None
        self.deadlines = None
        self.raised_call = -1
        self.raised_at = 0
        # The id of the last call that received a cancel event.
        self.cooperative = -1
        self.stopping = False
        self.forked = False
        self.context = None
        self.metadata_call = -1
        self.metadata = b""
        # The ContextVar that holds the context of an asyncio call.
        self.task_context = None
        self.main_thread = get_ident()


STATE = State()


class CallContext:
    """The running call, as `current_call()` returns it.

    Outside of a call, `call_id` and `deadline` are None and `cancelled` is False.
    """

    __slots__ = (
        "call_id",
        "deadline",
        "_state",
        "_raw",
        "_metadata",
        "_task",
        "_ended",
        "_cancelled",
        "_logger",
        "_cooperative",
        "_interrupted_at",
    )

    def __init__(self, call_id=None, state=None, raw=b""):
        self.call_id = call_id
        self.deadline = None
        self._state = state
        self._raw = raw
        self._metadata = None
        self._task = None
        self._ended = call_id is None
        self._cancelled = False
        self._logger = None
        # For an asyncio call: whether it has a cancel event, and when it was last cancelled.
        self._cooperative = False
        self._interrupted_at = None
        if call_id is not None:
            nanoseconds = _U64.unpack_from(state.deadlines, 8 * (call_id & INDEX_MASK))[0]
            if nanoseconds:
                # time.monotonic() reads the host's clock, CLOCK_MONOTONIC.
                self.deadline = nanoseconds / 1e9

    def remaining(self):
        """Return the seconds until the deadline, at least 0, or None if there is no deadline."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - time.monotonic())

    @property
    def cancelled(self):
        """Whether the host has cancelled this call, or had when the call ended."""
        if not self._ended:
            state = self._state
            if state.forked or (self._task is None and state.armed != self.call_id):
                self._ended = True
            elif state.marks[self.call_id & INDEX_MASK] == 1 or state.stopping:
                self._cancelled = True
        return self._cancelled

    @property
    def metadata(self):
        """The metadata of the call, a dict of strings, such as `traceparent`."""
        if self._metadata is None:
            if self._raw:
                from ._codec import load_json

                self._metadata = load_json(self._raw)
            else:
                self._metadata = {}
        return self._metadata

    @property
    def logger(self):
        """A logger whose records have the id of this call."""
        if self._logger is None:
            import logging

            self._logger = logging.LoggerAdapter(logging.getLogger("pyproc_worker"), {"call": self.call_id})
        return self._logger

    def _end(self):
        self._cancelled = self.cancelled
        self._ended = True


class CancelEvent:
    """The argument of a `cancel_event` parameter: like threading.Event, but set by the host."""

    __slots__ = ("_context",)

    def __init__(self, context):
        self._context = context

    def is_set(self):
        """Whether the call has been cancelled."""
        return self._context.cancelled

    def wait(self, timeout=None):
        """Block until the call is cancelled or `timeout` seconds have passed; return `is_set()`."""
        context = self._context
        until = None if timeout is None else time.monotonic() + timeout
        while not context.cancelled and not context._ended:
            pause = _POLL_SECONDS
            if until is not None:
                pause = min(pause, until - time.monotonic())
                if pause <= 0:
                    break
            time.sleep(pause)
        return context.cancelled


_OUTSIDE = CallContext()


def current_call():
    """Return the context of the running call; outside of a call, one whose `call_id` is None."""
    state = STATE
    if state.forked:
        return _OUTSIDE
    if state.task_context is not None:
        context = state.task_context.get(None)
        if context is not None:
            return context
    call = state.armed
    if call < 0:
        return _OUTSIDE
    context = state.context
    if context is None or context.call_id != call or context._ended:
        raw = state.metadata if state.metadata_call == call else b""
        context = state.context = CallContext(call, state, raw)
    return context


def cancel_event():
    """Return the cancel event of the running call, and give the call time to react to it."""
    context = current_call()
    if context._task is not None:
        context._cooperative = True
    elif context.call_id is not None:
        STATE.cooperative = context.call_id
    return CancelEvent(context)


def current_id():
    """Return the id of the call that the calling code belongs to, or None."""
    state = STATE
    if state.task_context is not None:
        context = state.task_context.get(None)
        if context is not None:
            return context.call_id
    if state.armed >= 0 and get_ident() == state.main_thread:
        return state.armed
    return None
