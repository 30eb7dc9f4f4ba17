"""The trace context of a call becomes that of OpenTelemetry, if OpenTelemetry is imported."""

import unittest

from .harness import Host

# A fake of the part of OpenTelemetry's interface that the worker uses.
OPENTELEMETRY = '''
import contextvars, sys, types

_current = contextvars.ContextVar("current", default={})
root, context, propagate = (types.ModuleType("opentelemetry" + name) for name in ("", ".context", ".propagate"))
context.attach = lambda new: _current.set(new)
context.detach = lambda token: _current.reset(token)
context.get_current = lambda: _current.get()
propagate.extract = lambda carrier: {"parent": carrier["traceparent"]}
root.context, root.propagate = context, propagate
for module in (root, context, propagate):
    sys.modules[module.__name__] = module
'''

WORKER = '''
from pyproc_worker import expose, run_worker
from opentelemetry import context

@expose
def current(req):
    if req == "raise":
        raise ValueError("no")
    return context.get_current()
%s
if __name__ == "__main__":
    run_worker()
'''

ASYNC = '''
import asyncio

@expose
async def later(req):
    await asyncio.sleep(req)
    return context.get_current()
'''


class TraceTest(unittest.TestCase):
    def _worker(self, more=""):
        host = Host(OPENTELEMETRY + WORKER % more)
        self.addCleanup(host.__exit__)
        host.ready()
        return host

    def test_a_call_runs_in_its_trace_context_and_the_next_one_does_not(self):
        host = self._worker()
        self.assertEqual(host.call("current", None, metadata={"traceparent": "00-1"}).value, {"parent": "00-1"})
        self.assertEqual(host.call("current", None).value, {})
        host.call("current", "raise", metadata={"traceparent": "00-2"})
        self.assertEqual(host.call("current", None).value, {})

    def test_metadata_without_a_trace_context_does_no_harm(self):
        host = self._worker()
        self.assertEqual(host.call("current", None, metadata={"other": "x"}).value, {})

    def test_async_calls_side_by_side_have_each_their_own(self):
        host = self._worker(ASYNC)
        slow = host.start_call("later", 0.2, metadata={"traceparent": "00-slow"})
        self.assertEqual(host.call("later", 0, metadata={"traceparent": "00-quick"}).value, {"parent": "00-quick"})
        self.assertEqual(host.call("later", 0).value, {})
        self.assertEqual(host.answer(slow).value, {"parent": "00-slow"})


if __name__ == "__main__":
    unittest.main()
