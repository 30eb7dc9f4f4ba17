"""Signal handlers that end the running call, and nothing else.

A handler runs between two bytecodes of whatever the main thread executes. It may raise only while
the stack has the function of the call above the loop and no code of this package above that, so
that no exception can surface in the loop, in the codecs or in another call.
"""

import sys
import time

from ._context import STATE, CallCancelled
from ._errors import is_own
from ._frames import INDEX_MASK

# An interrupted function gets this long for its cleanup before it is interrupted again.
GRACE_NS = 100_000_000

# The code objects that call user functions; the walk from the interrupted frame ends at them.
CALL_SITES = set()
# Modules of ours whose frames are part of the call: the closures around it, the conversion of its
# argument, which can take long, and the log handler. They leave nothing half done.
TRANSPARENT = frozenset(
    "pyproc_worker." + name
    for name in ("_bind", "_spread", "_checked", "_convert", "_records", "_libraries", "_types", "_named_tuples", "_logging")
)
# Functions of `logging` that may have taken a lock that nothing would release.
_LOCKING = ("handle", "acquire", "release", "_acquireLock", "_releaseLock")
# This bytecode ends the body of a `with` or `try`. In Python 3.9 a signal handler can run between
# it and the call of `__exit__` or the first bytecode of `finally`.
_POP_BLOCK = 87 if sys.version_info < (3, 10) else None
# Functions of `threading` that return with a lock or a permit, and those that release one.
_ACQUIRING = ("acquire", "_acquire_restore", "_release_save")
_RELEASING = ("__exit__", "release")
# The file that takes all locks of the import system, and its functions that leave the release to
# others or release without `finally`.
_IMPORT = "<frozen importlib._bootstrap>"
_IMPORT_LOCKING = frozenset(
    ("__enter__", "__exit__", "acquire", "release", "_get_module_lock", "_lock_unlock_module", "cb", "has_deadlock")
)


def unsafe(frame):
    """Return whether a frame and its callees must not be interrupted; the host signals again."""
    code = frame.f_code
    name = code.co_name
    if name in _RELEASING and frame.f_globals.get("__name__") == "threading":
        return True
    # Python prints and swallows what a finalizer raises.
    return name == "__del__" or (name in _IMPORT_LOCKING and code.co_filename == _IMPORT)


def leaves_lock(frame):
    """Return whether an exception in this very frame could leave a lock taken."""
    code = frame.f_code
    if _POP_BLOCK is not None and code.co_code[frame.f_lasti] == _POP_BLOCK:
        return True
    if code.co_filename == _IMPORT:
        # What it calls can be interrupted: the code of a module that is being imported.
        return True
    module = frame.f_globals.get("__name__")
    if module == "threading":
        return code.co_name in _ACQUIRING or (code.co_name == "__enter__" and _has_entered(frame))
    return code.co_name in _LOCKING and module == "logging"


def _has_entered(frame):
    # Until the condition is entered, the call may wait for long.
    try:
        return frame.f_locals["self"]._is_owned()
    except Exception:
        return True


def transparent(frame):
    """Return whether a frame is user code, or code of ours that is part of the call."""
    return not is_own(frame) or frame.f_globals["__name__"] in TRANSPARENT


def interruptible(frame):
    """Return whether an exception in `frame` ends user code that a call site of ours called."""
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
    """Return whether to raise in the call now: where it is safe, and once per grace period."""
    state = STATE
    now = time.monotonic_ns()
    if state.raised_call == call:
        if now - state.raised_at < GRACE_NS:
            return False
    elif cooperative:
        # Its cancel event is now set: let it end by itself first.
        state.raised_call, state.raised_at = call, now
        return False
    if not interruptible(frame):
        return False
    state.raised_call, state.raised_at = call, now
    return True


def asked(call):
    """Return whether a call is running and must be interrupted."""
    state = STATE
    if call < 0 or state.forked:
        return False
    return state.marks[call & INDEX_MASK] == 1 or state.stopping


def on_interrupt(_signal, frame):
    """Raise CallCancelled in the running call if its mark requests it."""
    state = STATE
    call = state.armed
    if asked(call) and may_raise(call, frame, state.cooperative == call):
        raise CallCancelled("the call was cancelled")


def on_sigint(_signal, _frame):
    """Do nothing: Ctrl-C is meant for the host, which stops its workers itself."""
