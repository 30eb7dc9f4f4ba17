"""Interrupts end the call that is marked, and nothing else, whenever they arrive."""

import _imp
import os
import queue
import random
import signal
import sys
import threading
import time
import unittest

from pyproc_worker import CallCancelled, _frames
from pyproc_worker._interrupt import interruptible

from .bytecodes import before_each, use_as_call_site
from .harness import CAP, INTERRUPT, PREDICT, HostTest

WORKER = """
import dataclasses, functools, os, socket, sys, threading, time, typing
from pyproc_worker import CallCancelled, current_call
""" + PREDICT + """
@expose
def sleep(seconds):
    time.sleep(seconds)

builtin_sleep = expose(time.sleep, name="builtin_sleep")
expose(functools.partial(time.sleep), name="partial_sleep")

@dataclasses.dataclass
class Slow:
    seconds: float

    def __post_init__(self):
        time.sleep(self.seconds)

@expose
def convert(values: typing.List[Slow]):
    return "never"

@expose
def receive(_):
    a, b = socket.socketpair()
    a.recv(1)

@expose
def spin(_):
    n = 0
    while True:
        n += 1

@expose
def generator(_):
    def numbers():
        while True:
            yield 1
    return sum(numbers())

@expose
def wait_event(_):
    threading.Event().wait()

@expose
def enter_condition(_):
    condition, taken = threading.Condition(), threading.Event()
    def take():
        with condition:
            taken.set()
            time.sleep(600)
    threading.Thread(target=take, daemon=True).start()
    taken.wait()
    with condition:
        pass

@expose
def cleanup(log):
    try:
        print("cleanup has begun", flush=True)
        time.sleep(100)
    finally:
        # Longer than the host waits before it signals again, and much shorter than the grace.
        time.sleep(0.03)
        print("cleaned up", flush=True)

@expose
def swallow(_):
    while True:
        try:
            print("swallow has begun", flush=True)
            time.sleep(100)
        except CallCancelled:
            return "swallowed"

@expose
def stubborn(times):
    for _ in range(times):
        try:
            time.sleep(100)
        except CallCancelled:
            pass
    time.sleep(100)

@expose
def except_exception(_):
    while True:
        try:
            time.sleep(100)
        except Exception:
            pass

@expose
def cooperative(_, cancel_event):
    assert not cancel_event.is_set()
    print("cooperative has begun", flush=True)
    cancelled = cancel_event.wait(100)
    return [cancelled, cancel_event.is_set(), current_call().cancelled]

@expose
def cooperative_timeout(_, cancel_event):
    return cancel_event.wait(0.03)

@expose
def ignores_event(_, cancel_event):
    time.sleep(100)

@expose
def event_in_thread(_, cancel_event):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(cancel_event.wait(100)))
    thread.start()
    thread.join()
    return seen

class Finalized:
    def __del__(self):
        deadline = time.monotonic() + 0.0002
        while time.monotonic() < deadline:
            pass

@expose
def busy(req):
    keep = Finalized() if req["finalizer"] else None
    if "say" in req:
        print(req["say"], flush=True)
    end = time.perf_counter() + req["seconds"]
    n = 0
    while time.perf_counter() < end:
        n += 1
    return {"n": req["n"], "payload": ["x" * 10] * req["size"]}

def import_afresh():
    for name in ("colorsys", "stringprep", "this_module_does_not_exist"):
        sys.modules.pop(name, None)
        try:
            __import__(name)
        except ImportError:
            pass

@expose
def import_forever(_):
    while True:
        import_afresh()

@expose
def import_in_thread(_):
    thread = threading.Thread(target=import_afresh, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()

LOCK, CONDITION = threading.Lock(), threading.Condition(threading.Lock())

@expose
def enter_forever(_):
    while True:
        with LOCK:
            pass
        with CONDITION:
            pass

@expose
def left_behind(_):
    return [LOCK.locked(), CONDITION._lock.locked()]

@expose
def log(_):
    import logging
    logger = logging.getLogger("spam")
    while True:
        logger.warning("spam")

run_worker()
"""


class InterruptTest(HostTest):
    WORKER = WORKER

    def serves(self):
        self.assertEqual(self.host.call("predict", {"value": 4}).value, {"result": 8})

    def test_ends_whatever_a_function_is_doing(self):
        for function in (
            "sleep",
            "builtin_sleep",
            "partial_sleep",
            "receive",
            "spin",
            "generator",
            "wait_event",
            "enter_condition",
            "except_exception",
            "ignores_event",
            "log",
        ):
            with self.subTest(function=function):
                answer = self.host.cancel_running(function, 100)
                self.assertEqual(answer.code, _frames.INTERRUPTED)
                self.assertEqual(answer.error["type"], "pyproc_worker.CallCancelled")
                self.assertNotIn("_interrupt.py", answer.error["traceback"])
                self.serves()

    def test_ends_user_code_that_converts_an_argument(self):
        answer = self.host.cancel_running("convert", [{"seconds": 0}, {"seconds": 100}])
        self.assertEqual(answer.code, _frames.INTERRUPTED)
        self.assertIn("__post_init__", answer.error["traceback"])
        self.assertNotIn("_records.py", answer.error["traceback"])
        self.serves()

    def test_cleanup_runs_undisturbed(self):
        answer = self.host.cancel_begun("cleanup")
        self.assertEqual(answer.code, _frames.INTERRUPTED)
        self.host.out.wait("cleaned up")

    def test_a_function_that_returns_after_an_interrupt_has_a_reply(self):
        self.assertEqual(self.host.cancel_begun("swallow").value, "swallowed")

    def test_a_function_that_goes_on_is_interrupted_again(self):
        self.assertEqual(self.host.cancel_running("stubborn", 2).code, _frames.INTERRUPTED)
        self.serves()

    def test_a_cancel_event_lets_a_function_end_by_itself(self):
        self.assertEqual(self.host.cancel_begun("cooperative").value, [True, True, True])
        self.assertEqual(self.host.cancel_running("event_in_thread").value, [True])
        self.assertEqual(self.host.call("cooperative_timeout").value, False)

    def test_a_reply_does_not_wait_for_a_slow_call_behind_it(self):
        self.serves()
        self.host.call("sleep", 0.001)
        fast, a = self.host.encode_call("predict", {"value": 1})
        slow, b = self.host.encode_call("sleep", 100)
        self.host.socket.sendall(a + b)
        self.assertEqual(self.host.answer(fast).value, {"result": 2})
        self.host.wait_phase(slow, 1)
        self.assertFalse(self.host.answered(slow))
        self.host.cancel(slow)

    def test_a_signal_without_a_mark_does_nothing(self):
        call = self.start("busy", {"n": 1, "seconds": 0.05, "size": 1, "finalizer": False})
        for _ in range(20):
            self.host.signal()
        self.assertEqual(self.host.answer(call).value["n"], 1)

    def test_a_revoke_leaves_a_running_call_alone(self):
        argument = {"n": 2, "seconds": 0.05, "size": 1, "finalizer": False, "say": "busy has begun"}
        call = self.host.start_call("busy", argument)
        # Its phase changes before the worker reads the mark.
        self.host.out.wait("busy has begun")
        self.host.mark(call, 2)
        for _ in range(20):
            self.host.signal()
        self.assertEqual(self.host.answer(call).value["n"], 2)

    def test_sigint_does_nothing(self):
        call = self.start("busy", {"n": 3, "seconds": 0.05, "size": 1, "finalizer": False})
        self.host.signal(signal.SIGINT)
        self.assertEqual(self.host.answer(call).value["n"], 3)

    def test_interrupts_at_random_times_never_reach_another_call_or_the_loop(self):
        # Only the first call of each pair is marked. Signals arrive at any time, most of them near
        # the end of the first call, during its encoding and during the second call.
        generator = random.Random(7)
        stop = threading.Event()

        def storm():
            while not stop.is_set():
                os.kill(self.host.pid, INTERRUPT)
                time.sleep(generator.random() * 0.0004)

        thread = threading.Thread(target=storm)
        thread.start()
        codes = {None: 0, _frames.INTERRUPTED: 0, _frames.SKIPPED: 0}
        # How much later than expected calls end here; adjusted so that marks come on both sides of
        # the end.
        late = 0
        try:
            for n in range(1500):
                seconds = generator.random() * 0.001
                argument = {"n": n, "seconds": seconds, "size": n % 3 * 500, "finalizer": n % 2 == 0}
                marked, a = self.host.encode_call("busy", argument)
                free, b = self.host.encode_call("busy", {"n": -n, "seconds": 0.0002, "size": 10, "finalizer": True})
                self.host.socket.sendall(a + b)
                time.sleep(max(0, seconds + late + (generator.random() - 0.6) * 0.0006))
                self.host.mark(marked, 1)
                answer = self.host.answer(marked)
                codes[answer.code] += 1
                late += -0.00002 if answer.code is None else 0.00002
                if answer.code is None:
                    self.assertEqual(answer.value["n"], n)
                self.assertEqual(self.host.answer(free).value["n"], -n)
        finally:
            stop.set()
            thread.join()
        self.serves()
        # The test is meaningful only if interrupts came on both sides of the end.
        self.assertGreater(codes[None], 50, codes)
        self.assertGreater(codes[_frames.INTERRUPTED], 50, codes)

    def interrupt_often(self, function):
        for _ in range(300):
            call = self.start(function)
            self.host.mark(call, 1)
            while not self.host.answered(call):
                self.host.signal()
                time.sleep(0.0002)

    def test_imports_go_on_after_many_were_interrupted(self):
        self.interrupt_often("import_forever")
        self.assertTrue(self.host.call("import_in_thread").value)

    def test_blocks_that_were_interrupted_have_ended(self):
        self.interrupt_often("enter_forever")
        self.assertEqual(self.host.call("left_behind").value, [False, False])


class EveryBytecodeTest(unittest.TestCase):
    """Interrupts at each bytecode of standard library code that takes locks without `with`."""

    def setUp(self):
        use_as_call_site(self, self.call)

    def call(self, function):
        function()

    def interrupt_at(self, first, function, modules):
        """Interrupt at the first bytecode from this number on that allows it; return its number."""
        seen = [0, None]

        def interrupt(frame):
            seen[0] += 1
            if seen[1] is None and seen[0] >= first and interruptible(frame):
                seen[1] = seen[0]
                self.where = "%s:%d" % (frame.f_code.co_name, frame.f_lineno)
                raise CallCancelled

        try:
            with before_each(modules, interrupt):
                self.call(function)
        except CallCancelled:
            pass
        self.assertTrue(seen[1] or seen[0] > 10)
        return seen[1]

    def interrupt_everywhere(self, function, modules):
        """Interrupt the function at each bytecode in turn; then yield the bytecode's number."""
        at = 0
        while at is not None:
            at = self.interrupt_at(at + 1, function, modules)
            yield at

    def ends_in_thread(self, function, message):
        thread = threading.Thread(target=function, daemon=True)
        thread.start()
        thread.join(CAP)
        self.assertFalse(thread.is_alive(), message)

    @staticmethod
    def imports():
        sys.modules.pop("colorsys", None)
        import colorsys  # noqa: F401

    def test_no_lock_of_the_import_system_stays_taken(self):
        for at in self.interrupt_everywhere(self.imports, ("importlib._bootstrap",)):
            held = _imp.lock_held()
            if held:
                _imp.release_lock()
            message = "after an interrupt at bytecode %s" % at
            self.assertFalse(held, message)
            self.ends_in_thread(self.imports, message)

    def test_no_condition_semaphore_or_queue_stays_taken(self):
        def use():
            with condition:
                condition.notify()
            with semaphore:
                pass
            items.put(1)
            items.get()

        for shared in (threading.RLock, threading.Lock):
            condition, semaphore, items = threading.Condition(shared()), threading.Semaphore(2), queue.Queue()
            for at in self.interrupt_everywhere(use, ("threading",)):
                message = "after an interrupt at bytecode %s, %s" % (at, self.where)
                self.assertEqual(semaphore._value, 2, message)
                self.ends_in_thread(use, message)


if __name__ == "__main__":
    unittest.main()
