"""The signal handlers that end a running call, and only that.

A handler runs between two bytecodes of whatever the main thread executes. It may raise only while
the function of the call is on the stack above the loop and nothing of this package is above it, so
that no exception can ever surface in the loop, in the codecs or in another call.
"""

import sys
import time

from ._context import STATE, CallCancelled
from ._errors import is_own
from ._frames import INDEX_MASK

# A function that has been interrupted gets this long for its cleanup before it is interrupted
# again.
GRACE_NS = 100_000_000

# The code objects that call user functions: frames that end the walk from the interrupted frame.
CALL_SITES = set()
# Modules of ours whose frames are part of the call: the way into it, and the log handler.
_TRANSPARENT = ("pyproc_worker._bind", "pyproc_worker._logging")
# Functions of `logging` in which a lock may be taken that nobody would release.
_LOCKING = ("handle", "acquire", "release", "_acquireLock", "_releaseLock")
# In Python 3.9 a signal handler can run between this bytecode, which ends the body of a `with` or
# `try`, and the call of `__exit__` or the first bytecode of `finally`.
_POP_BLOCK = 87 if sys.version_info < (3, 10) else None
# Those of `threading` that have a lock, or a permit, when they return, and that give one back.
_ACQUIRING = ("acquire", "_acquire_restore", "_release_save")
_RELEASING = ("__exit__", "release")
# Where all of the import system's locks are taken: its file, and those functions that take one and
# leave it to others to release it, or release it without `finally`.
_IMPORT = "<frozen importlib._bootstrap>"
_IMPORT_LOCKING = frozenset(
    ("__enter__", "__exit__", "acquire", "release", "_get_module_lock", "_lock_unlock_module", "cb", "has_deadlock")
)


def unsafe(frame):
    """Whether an exception must not begin in a frame or in what it calls; the host signals again."""
    code = frame.f_code
    name = code.co_name
    if name in _RELEASING and frame.f_globals.get("__name__") == "threading":
        return True
    # What a finalizer raises is printed and swallowed.
    return name == "__del__" or (name in _IMPORT_LOCKING and code.co_filename == _IMPORT)


def leaves_lock(frame):
    """Whether an exception that begins in just this frame could leave a lock of others taken."""
    code = frame.f_code
    if _POP_BLOCK is not None and code.co_code[frame.f_lasti] == _POP_BLOCK:
        return True
    if code.co_filename == _IMPORT:
        # Not what it calls: the code of a module that is being imported can be interrupted.
        return True
    module = frame.f_globals.get("__name__")
    if module == "threading":
        return code.co_name in _ACQUIRING or (code.co_name == "__enter__" and _has_entered(frame))
    return code.co_name in _LOCKING and module == "logging"


def _has_entered(frame):
    # Whether the condition is entered already: until then the call may wait for long.
    try:
        return frame.f_locals["self"]._is_owned()
    except Exception:
        return True


def transparent(frame):
    """Whether a frame is user code, or code of ours that is part of the call."""
    return not is_own(frame) or frame.f_globals["__name__"] in _TRANSPARENT


def interruptible(frame):
    """Whether raising in `frame` ends user code that a call site of ours has called."""
    innermost = frame
    if leaves_lock(frame):
        return False
    while frame is not None:
        if frame.f_code in CALL_SITES:
            return frame is not innermost
        if unsafe(frame) or not transparent(frame):
            return False
        frame = frame.f_back
    return False


def may_raise(call, frame, cooperative):
    """Whether to raise in the call now: at most once in each grace period, and only where it is safe."""
    state = STATE
    now = time.monotonic_ns()
    if state.raised_call == call:
        if now - state.raised_at < GRACE_NS:
            return False
    elif cooperative:
        # It has a cancel event, which is now set: let it end by itself first.
        state.raised_call, state.raised_at = call, now
        return False
    if not interruptible(frame):
        return False
    state.raised_call, state.raised_at = call, now
    return True


def asked(call):
    """Whether a call runs and is to be interrupted."""
    state = STATE
    if call < 0 or state.forked:
        return False
    return state.marks[call & INDEX_MASK] == 1 or state.stopping


def on_interrupt(_signal, frame):
    """Raise CallCancelled in the running call if its mark says so."""
    state = STATE
    call = state.armed
    if asked(call) and may_raise(call, frame, state.cooperative == call):
        raise CallCancelled("the call was cancelled")


def on_sigint(_signal, _frame):
    """Do nothing: whoever presses Ctrl-C means the host, which stops its workers itself."""
