"""Workers that expose an `async def`: tasks, cancellation, inline functions, hooks on the loop."""

import random
import signal
import threading
import time
import unittest

from pyproc_worker import _frames

from .harness import Host, HostTest

WORKER = """
import asyncio, dataclasses, sys, time
from pyproc_worker import CallCancelled, current_call, expose, run_worker, setup, teardown

state = {}

@setup
async def begin():
    state["loop"] = asyncio.get_running_loop()
    state["event"] = asyncio.Event()

@teardown
async def end():
    assert state["loop"] is asyncio.get_running_loop()
    print("teardown", flush=True)

@expose
async def double(req) -> dict:
    return {"result": req["value"] * 2}

@expose
def inline(req):
    assert current_call().call_id is not None
    return {"result": req["value"] * 2}

@dataclasses.dataclass
class Slow:
    seconds: float

    def __post_init__(self):
        time.sleep(self.seconds)

@expose
async def convert(slow: Slow):
    return "never"

@expose
async def nap(seconds):
    before = current_call()
    await asyncio.sleep(seconds)
    assert current_call() is before and state["loop"] is asyncio.get_running_loop()
    return [seconds, before.metadata]

@expose
async def wait(_):
    print("begun", flush=True)
    await state["event"].wait()
    return "released"

@expose
async def release(_):
    state["event"].set()

@expose
async def cleanup(_):
    try:
        print("cleanup has begun", flush=True)
        await asyncio.sleep(100)
    finally:
        await asyncio.sleep(0.03)
        print("cleaned up", flush=True)

@expose
async def swallow(argument):
    try:
        print("swallow of %s has begun" % type(argument).__name__, flush=True)
        await asyncio.sleep(100)
    # During the print, the interrupt is a CallCancelled.
    except BaseException:
        return "swallowed"

@expose
async def block(_):
    print("begun", flush=True)
    time.sleep(100)

@expose
async def spin_in_subtask(_):
    async def inner():
        while True:
            pass
    await asyncio.create_task(inner())

@expose
def inline_block(_):
    print("begun", flush=True)
    time.sleep(100)

@expose
async def cancel_self(_):
    raise asyncio.CancelledError("mine")

@expose
async def leave(_):
    sys.exit(4)

@expose
async def subtask_leaves(_):
    async def inner():
        sys.exit(5)
    await asyncio.create_task(inner())

@expose
async def fail(req):
    await asyncio.sleep(0)
    raise ValueError("async")

@expose
async def stream(_):
    yield 1

@expose
async def cooperative(_, cancel_event):
    while not cancel_event.is_set():
        await asyncio.sleep(0.005)
    return "saw it"

@expose
async def cooperative_ignored(_, cancel_event):
    print("begun", flush=True)
    await asyncio.sleep(100)

@expose
async def cancel_all(_):
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()

@expose
async def stubborn(_):
    print("begun", flush=True)
    for _ in range(2):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            pass
    await asyncio.sleep(100)

@expose
async def big(n):
    return b"x" * n

@expose
async def two(a, b=2, *, c):
    return [a, b, c]

run_worker()
"""


class AsyncTest(HostTest):
    WORKER = WORKER

    def serves(self):
        self.assertEqual(self.host.call("double", {"value": 4}).value, {"result": 8})
        self.assertEqual(self.host.call("inline", {"value": 5}).value, {"result": 10})

    def test_ready_names_the_kind(self):
        kinds = {f["name"]: f["kind"] for f in self.host.ready()["functions"]}
        self.assertEqual((kinds["double"], kinds["inline"]), ("async", "sync"))

    def test_calls_run_side_by_side(self):
        slow = self.host.start_call("nap", 0.2, metadata={"a": "b"})
        fast = self.host.start_call("nap", 0.01)
        self.assertEqual(self.host.answer(fast).value, [0.01, {}])
        self.assertFalse(self.host.answered(slow))
        self.assertEqual(self.host.answer(slow).value, [0.2, {"a": "b"}])
        # 2^15 or more is a floating-point number: 0.2 s.
        self.assertGreaterEqual(self.host.answer(slow).service, _frames.service_time(200_000))

    def test_many_pipelined_calls(self):
        calls, data = [], b""
        for i in range(1000):
            call, frame = self.host.encode_call("double" if i % 3 else "inline", {"value": i})
            calls.append(call)
            data += frame
        self.host.socket.sendall(data)
        self.assertEqual([self.host.answer(c).value["result"] for c in calls], [2 * i for i in range(1000)])

    def test_cancels_tasks_and_blocking_code(self):
        for function, argument in (
            ("wait", None),
            ("block", None),
            ("spin_in_subtask", None),
            ("inline_block", None),
            # Its argument is converted by code of the script.
            ("convert", {"seconds": 100}),
        ):
            with self.subTest(function=function):
                answer = self.host.cancel_running(function, argument)
                self.assertEqual(answer.code, _frames.INTERRUPTED, answer.payload)
                self.serves()

    def test_cleanup_runs_undisturbed(self):
        self.assertEqual(self.host.cancel_begun("cleanup").code, _frames.INTERRUPTED)
        self.host.out.wait("cleaned up")
        self.serves()

    def test_cancels_only_the_one_with_the_mark(self):
        kept = self.host.start_call("nap", 0.3)
        self.assertEqual(self.host.cancel_running("wait").code, _frames.INTERRUPTED)
        self.assertEqual(self.host.answer(kept).value, [0.3, {}])

    def test_one_signal_is_enough_for_an_idle_loop(self):
        call = self.start("wait")
        # After the answer to a later call, the task waits and the loop is idle.
        self.serves()
        self.host.mark(call, 1)
        self.host.signal()
        self.assertEqual(self.host.answer(call).code, _frames.INTERRUPTED)

    def test_a_task_that_swallows_its_cancellation_has_a_reply(self):
        # A task that is cancelled before its first step cannot swallow the cancellation.
        swallow = self.start("swallow")
        self.host.out.wait("swallow of NoneType has begun")
        self.assertEqual(self.host.cancel(swallow).value, "swallowed")
        self.assertEqual(self.host.cancel_running("cooperative").value, "saw it")

    def test_errors(self):
        for function, kind in [
            ("cancel_self", "asyncio.exceptions.CancelledError"),
            ("leave", "SystemExit"),
            ("subtask_leaves", "SystemExit"),
            ("fail", "ValueError"),
        ]:
            with self.subTest(function=function):
                answer = self.host.call(function)
                self.assertEqual((answer.code, answer.error["type"]), (_frames.RAISED, kind))
                self.serves()
        answer = self.host.call("stream")
        self.assertEqual(answer.code, _frames.UNENCODABLE)
        self.assertIn("streaming is not supported", answer.error["message"])
        self.assertEqual(self.host.call(999).code, _frames.UNKNOWN_FUNCTION)

    def test_tasks_that_user_code_cancels_are_answered(self):
        waiting = self.start("wait")
        self.serves()
        cancelling, a = self.host.encode_call("cancel_all", None)
        after, b = self.host.encode_call("double", {"value": 1})
        self.host.socket.sendall(a + b)
        self.assertEqual(self.host.answer(cancelling).value, None)
        self.assertEqual(self.host.answer(waiting).code, _frames.RAISED)
        self.assertIn(self.host.answer(after).code, (None, _frames.RAISED))

    def test_binding(self):
        self.assertEqual(self.host.call("two", {"a": 1, "c": 3}).value, [1, 2, 3])
        call = self.host.start_call("two", {"a": 1, "z": 3})
        self.assertEqual((self.host.answer(call).code, self.host.phase(call)), (_frames.INVALID_ARGUMENT, 0))
        error = self.host.call("double", codec=_frames.CODEC_JSON | _frames.ABSENT)
        self.assertEqual((error.code, error.error["errors"][0]["path"]), (_frames.INVALID_ARGUMENT, "req"))

    def test_large_frames(self):
        data = b"q" * 3_000_000
        calls = [self.host.start_call("big", n) for n in (3_000_000, 10, 500_000)]
        self.assertTrue(self.host.answer(calls[0]).value == b"x" * 3_000_000)
        self.assertEqual(len(self.host.answer(calls[2]).value), 500_000)
        swallow = self.host.start_call("swallow", data, codec=_frames.CODEC_BYTES)
        self.host.out.wait("swallow of bytes has begun")
        self.assertEqual(self.host.cancel(swallow).value, "swallowed")

    def test_a_marked_call_is_skipped(self):
        call, frame = self.host.encode_call("double", {"value": 1})
        self.host.mark(call, 2)
        self.host.socket.sendall(frame)
        self.assertEqual(self.host.answer(call).code, _frames.SKIPPED)

    def test_cancellations_at_random_times(self):
        generator = random.Random(3)
        stop = threading.Event()

        def storm():
            while not stop.is_set():
                self.host.signal()
                time.sleep(0.0003)

        thread = threading.Thread(target=storm)
        thread.start()
        codes = {None: 0, _frames.INTERRUPTED: 0, _frames.SKIPPED: 0}
        try:
            for n in range(500):
                seconds = generator.random() * 0.003
                marked, free = self.host.start_call("nap", seconds), self.host.start_call("double", {"value": n})
                time.sleep(seconds * generator.random() * 1.5)
                self.host.mark(marked, 1)
                codes[self.host.answer(marked).code] += 1
                self.assertEqual(self.host.answer(free).value, {"result": 2 * n})
        finally:
            stop.set()
            thread.join()
        self.assertGreater(codes[_frames.INTERRUPTED], 20, codes)
        self.assertGreater(codes[None], 20, codes)


class AsyncEndTest(unittest.TestCase):
    def test_drain_waits_for_running_tasks(self):
        with Host(WORKER) as host:
            call = host.start_call("nap", 0.1)
            self.assertEqual(host.drain(), 0)
            self.assertEqual(host.answer(call).value, [0.1, {}])
            self.assertIn("teardown", host.out.end())

    def test_the_end_of_the_socket_cancels_the_tasks(self):
        with Host(WORKER) as host:
            host.start_call("cleanup")
            host.out.wait("begun")
            self.assertEqual(host.hang_up(), 0)
            self.assertEqual(host.out.end(), "cleanup has begun\ncleaned up\nteardown\n")

    def test_the_end_of_the_socket_ends_a_task_that_swallows_cancellations(self):
        for function in ("stubborn", "cooperative_ignored"):
            with self.subTest(function=function), Host(WORKER) as host:
                host.start_call(function)
                host.out.wait("begun")
                self.assertEqual(host.hang_up(), 0)

    def test_sigterm_ends_tasks_and_blocking_code(self):
        for function in ("stubborn", "wait", "block", "inline_block"):
            with self.subTest(function=function), Host(WORKER) as host:
                call = host.start_call(function)
                host.out.wait("begun")
                host.signal(signal.SIGTERM)
                self.assertEqual(host.process.wait(30), 0)
                self.assertEqual(host.answer(call).code, _frames.INTERRUPTED)
                self.assertIn("teardown", host.out.end())

    def test_a_bad_length_ends_the_worker(self):
        with Host(WORKER, max_frame=1 << 20) as host:
            host.ready()
            host.socket.sendall((1 << 30).to_bytes(4, "big") + b"\x10" + b"\0" * 20)
            self.assertEqual(host.process.wait(30), 1)
            self.assertIn("longer than max_frame", host.err.end())

    def test_async_hooks_of_a_worker_without_async_functions(self):
        worker = """
            from pyproc_worker import expose, setup, teardown
            import asyncio
            @setup
            async def begin():
                await asyncio.sleep(0)
                print("begin")
            @teardown
            async def end():
                print("end")
            @expose
            def f(x): return x
        """
        with Host(worker) as host:
            self.assertEqual(host.call("f", 3).value, 3)
            self.assertEqual(host.drain(), 0)
            self.assertEqual(host.out.end(), "begin\nend\n")


if __name__ == "__main__":
    unittest.main()
