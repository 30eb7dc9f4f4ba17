"""Runs code with an exception, or another action, in front of its bytecodes."""

import contextlib
import sys

from pyproc_worker._interrupt import CALL_SITES


@contextlib.contextmanager
def before_each(modules, act):
    """Call `act(frame)` in front of each bytecode that code of these modules executes."""

    def trace(frame, event, _argument):
        if frame.f_globals.get("__name__") not in modules:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            act(frame)
        return trace

    before = sys.gettrace()
    # Python 3.12 reads this only when tracing is switched on.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def raise_at(number, modules, error):
    """Raise in front of the bytecode of this number; yield a list whose item counts bytecodes."""
    seen = [0]

    def act(_frame):
        seen[0] += 1
        if seen[0] == number:
            raise error

    with before_each(modules, act):
        yield seen


def use_as_call_site(test, method):
    """Make a method count as code of the worker that calls user functions, until the test ends."""
    code = method.__func__.__code__
    CALL_SITES.add(code)
    test.addCleanup(CALL_SITES.discard, code)
