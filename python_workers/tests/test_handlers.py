"""Signal handlers of the script that raise: no call runs twice or gets the answer of another."""

import asyncio
import collections
import json
import logging
import os
import signal
import socket
import types
import unittest
import warnings

from pyproc_worker import _async_loop, _codec, _frames, _msgpack
from pyproc_worker._bind import bind
from pyproc_worker._calls import Calls
from pyproc_worker._channel import Channel
from pyproc_worker._context import STATE
from pyproc_worker._describe import read_signature
from pyproc_worker._named_tuples import converted
from pyproc_worker._sync_loop import serve

from .bytecodes import raise_at
from .harness import CAP, Host, restore_codecs

SLOTS = 16


class Storm(Exception):
    """The exception that the handlers raise."""


class Table:
    """A slot table in ordinary memory."""

    def __init__(self):
        view = memoryview(bytearray(10 * SLOTS))
        self.phase, self.marks, self.deadlines = view[:SLOTS], view[SLOTS : 2 * SLOTS], view[2 * SLOTS :]


class Driver(unittest.TestCase):
    """Serves calls over and over, each time with an exception in front of another bytecode."""

    # The numbers of the calls that `serve` sends, each the index in the slot table.
    CALLS = range(0)

    def setUp(self):
        self.runs = collections.Counter()

    def everywhere(self, *arguments):
        """Serve with an exception in front of each bytecode; return how many there are."""
        count = 1
        while self.serve(count, *arguments):
            count += 1
        return count

    def begin(self):
        """Forget the last serving; return the slot table and both ends of the socket."""
        self.runs.clear()
        table = Table()
        STATE.marks, STATE.deadlines, STATE.armed = table.marks, table.deadlines, -1
        host, worker = socket.socketpair()
        host.settimeout(CAP)
        return table, host, Channel(worker.detach())

    def check(self, host, table, ended):
        """Check all answers against the runs; `ended` means that the loop did not raise."""
        answered = collections.Counter()
        for kind, codec, _function, call, payload in _frames.FrameReader().feed(read_to_end(host)):
            if kind != _frames.PONG:
                number = call & _frames.INDEX_MASK
                answered[number] += 1
                self.check_answer(number, kind, codec, payload)
        for number in self.CALLS:
            self.assertLessEqual(self.runs[number], 1, "call %d ran again" % number)
            self.assertLessEqual(answered[number], 1)
            if ended:
                self.assertEqual(answered[number], 1)
            if self.runs[number]:
                # After a crash, the host reads here that this call has started.
                self.assertGreater(table.phase[number], 0)


def read_to_end(host):
    """Return everything that is left in a socket, and close it."""
    with host:
        data = b""
        try:
            while more := host.recv(1 << 20):
                data += more
        except ConnectionResetError:
            # The worker has left calls unread.
            pass
        return data


class EveryBytecodeTest(Driver):
    """The loop itself, with an exception in front of each bytecode that it executes."""

    CALLS = range(1, 10)
    CODEC = _frames.CODEC_JSON
    MODULES = ("pyproc_worker._sync_loop", "pyproc_worker._calls")

    def setUp(self):
        super().setUp()
        restore_codecs(self)
        functions = [self.double, self.broken, self.large]
        self.functions = [bind(function, read_signature(function)).call for function in functions]

    def double(self, n):
        self.runs[n] += 1
        return 2 * n

    def broken(self, n):
        self.runs[n] += 1
        raise ValueError(n)

    def large(self, n):
        self.runs[n] += 1
        return "x" * 70_000

    def calls(self):
        # Two calls in a row for each path through the loop, so that a stale result would show.
        for number, (function, codec) in enumerate(
            [(0, self.CODEC)] * 2
            + [(1, self.CODEC)] * 2
            + [(0, self.CODEC | _frames.METADATA)] * 2
            + [(2, self.CODEC)]
            + [(0, self.CODEC)] * 2,
            start=1,
        ):
            payload = b"%d" % number if self.CODEC == _frames.CODEC_JSON else bytes([number])
            if codec & _frames.METADATA:
                payload = b"\x00\x02{}" + payload
            yield _frames.frame(_frames.CALL, codec, function, 1 << 10 | number, payload)

    def serve(self, count, then=None):
        """Serve with an exception in front of one bytecode; return whether there is such a one."""
        table, host, channel = self.begin()
        host.sendall(_frames.frame(_frames.PING, 0, 0, 9) + b"".join(self.calls()))
        host.shutdown(socket.SHUT_WR)
        calls = Calls(list(self.functions), ["double", "broken", "large"], table, 1 << 20, [])
        if then is not None:
            then(calls)
        ended = False
        try:
            with raise_at(count, self.MODULES, Storm) as seen:
                serve(channel, calls, 10**9)
                ended = True
        except Storm:
            pass
        finally:
            STATE.armed = -1
        channel.close()
        self.check(host, table, ended)
        return seen[0] >= count

    def check_answer(self, number, kind, codec, payload):
        if kind == _frames.REPLY:
            self.assertEqual((self.runs[number], codec), (1, self.CODEC))
            result = json.loads(payload) if codec == _frames.CODEC_JSON else _msgpack.unpack(payload)
            self.assertEqual(result, "x" * 70_000 if number == 7 else 2 * number)
        elif codec == _frames.UNDECODABLE:
            self.assertEqual(self.runs[number], 0)
        elif "Storm" not in payload.decode():
            error = json.loads(payload)
            self.assertEqual((error["type"], error["message"]), ("ValueError", str(number)))

    def test_an_exception_in_front_of_any_bytecode_runs_no_call_twice(self):
        self.assertGreater(self.everywhere(), 1000)

    def test_nor_does_a_second_one_while_the_first_is_answered(self):
        def again(calls):
            for name in ("raised", "returned"):
                setattr(calls, name, self.raises)

        self.assertGreater(self.everywhere(again), 100)

    @staticmethod
    def raises(*_):
        raise Storm("again")


class EveryBytecodeOfMessagePackTest(EveryBytecodeTest):
    """The same for MessagePack, whose functions the loop does not inline."""

    CODEC = _frames.CODEC_MSGPACK
    MODULES = (*EveryBytecodeTest.MODULES, "pyproc_worker._codec")


class EveryBytecodeWithNamedTuplesTest(EveryBytecodeTest):
    """The same where each result is searched for NamedTuples."""

    MODULES = (*EveryBytecodeTest.MODULES, "pyproc_worker._named_tuples")

    def setUp(self):
        super().setUp()
        self.functions = [converted(function, False, ()) for function in self.functions]


class EveryBytecodeWithALibraryTest(EveryBytecodeTest):
    """The same with a JSON library."""

    MODULES = (*EveryBytecodeTest.MODULES, "pyproc_worker._json_libraries")

    def setUp(self):
        super().setUp()
        try:
            _codec.use_library("msgspec")
        except ImportError as error:
            self.skipTest(str(error))


class EveryBytecodeOfTheEventLoopTest(Driver):
    """The same for the loop of coroutines, and for the part of asyncio that calls its callbacks."""

    CALLS = range(1, 5)
    MODULES = ("pyproc_worker._async_loop", "pyproc_worker._calls")

    def setUp(self):
        super().setUp()
        # asyncio and Python report the callbacks and coroutines that the exceptions cut off.
        quiet = warnings.catch_warnings()
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)
        warnings.simplefilter("ignore")
        logger = logging.getLogger("asyncio")
        self.addCleanup(setattr, logger, "disabled", logger.disabled)
        logger.disabled = True
        before = signal.signal(signal.SIGALRM, self.hangs)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.signal, signal.SIGURG, signal.getsignal(signal.SIGURG))

    @staticmethod
    def hangs(*_):
        raise AssertionError("the loop hangs")

    def inline(self, n):
        self.runs[n] += 1
        return 2 * n

    async def at_once(self, n):
        return self.inline(n)

    async def waits(self, n):
        await asyncio.sleep(0)
        return self.inline(n)

    def serve(self, count):
        """Serve with an exception in front of one bytecode; return whether there is such a one."""
        table, host, channel = self.begin()
        STATE.stopping = False
        for number in self.CALLS:
            host.sendall(_frames.frame(_frames.CALL, 1, number % 3, 1 << 10 | number, b"%d" % number))
        host.sendall(_frames.frame(_frames.DRAIN, 0, 0, 0))
        loop = _async_loop.new_loop()
        process = types.SimpleNamespace(
            channel=channel,
            loop=loop,
            hello={"max_frame": 1 << 20, "interrupt_signal": signal.SIGURG},
            set_interrupt_handler=lambda handler: signal.signal(signal.SIGURG, handler),
        )
        calls = Calls([self.inline, self.at_once, self.waits], ["inline", "at_once", "waits"], table, 1 << 20, [])
        ended = False
        signal.setitimer(signal.ITIMER_REAL, CAP)
        try:
            with raise_at(count, self.MODULES, Storm) as seen:
                _async_loop.serve(process, calls, [False, True, True])
                ended = True
        except Storm:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # As the worker does at its end, while the loop is still open.
            STATE.stopping, STATE.armed = True, -1
            loop.set_exception_handler(lambda *_: None)
            _async_loop.close_loop(loop)
            STATE.stopping, STATE.task_context = False, None
        channel.close()
        self.check(host, table, ended)
        return seen[0] >= count

    def check_answer(self, number, kind, codec, payload):
        if kind == _frames.REPLY:
            self.assertEqual((self.runs[number], json.loads(payload)), (1, 2 * number))
        elif codec == _frames.SKIPPED:
            self.assertEqual(self.runs[number], 0)
        else:
            self.assertIn(json.loads(payload)["type"].rpartition(".")[2], ("Storm", "CancelledError"))

    def test_an_exception_in_front_of_any_bytecode_runs_no_call_twice_and_loses_none(self):
        self.assertGreater(self.everywhere(), 500)


HANDLERS = """
import asyncio, os, signal, sys, time
from pyproc_worker import expose, run_worker, teardown

class Storm(Exception):
    pass

@expose
def on_alarm(what):
    def handler(*_):
        raise {"storm": Storm("late"), "exit": SystemExit(7), "reset": ConnectionResetError("mine")}[what]
    signal.signal(signal.SIGALRM, handler)

@expose
def storm(seconds):
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

@expose
def run(argument):
    n, path = argument
    with open(path, "ab", 0) as file:
        file.write(b"%d " % n)
    return n

@expose
def catch(_):
    try:
        print("catch has begun", flush=True)
        time.sleep(100)
    except Storm:
        return "caught"

@teardown
def end():
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    print("teardown", flush=True)
"""
ASYNC = HANDLERS + """
@expose
async def task(argument):
    return run(argument)
"""


class WorkerTest(unittest.TestCase):
    """Real workers and real signals."""

    def idle(self, what, worker):
        host = Host(worker + "run_worker()")
        self.addCleanup(host.__exit__)
        self.assertEqual(host.call("on_alarm", what).value, None)
        # A worker that has answered waits for its socket, or soon will.
        host.signal(signal.SIGALRM)
        host.wait_for(lambda: host.ended, "the end")
        status = host.process.wait(30)
        self.assertEqual(host.out.end(), "teardown\n")
        return status, host.err.end()

    def test_one_that_raises_inside_of_a_call_is_an_exception_of_the_call(self):
        for worker in (HANDLERS, ASYNC):
            with Host(worker + "run_worker()") as host:
                host.call("on_alarm", "storm")
                call = host.start_call("catch")
                host.out.wait("catch has begun")
                host.signal(signal.SIGALRM)
                self.assertEqual(host.answer(call).value, "caught")

    def test_one_that_raises_outside_of_a_call_ends_the_worker_as_a_script_ends(self):
        for worker in (HANDLERS, ASYNC):
            for what in ("storm", "reset"):
                with self.subTest(what=what, worker=worker is ASYNC):
                    status, err = self.idle(what, worker)
                    self.assertEqual(status, 1, err)
                    self.assertIn("outside of a call, which ends the worker", err)
                    self.assertIn("in handler", err)
            self.assertEqual(self.idle("exit", worker)[0], 7)

    def test_a_storm_of_them_runs_no_call_twice_and_answers_none_wrongly(self):
        for worker, function in ((HANDLERS, "run"), (ASYNC, "run"), (ASYNC, "task")):
            for microseconds in (150, 200, 300, 500, 1000):
                with self.subTest(function=function, asynchronous=worker is ASYNC, microseconds=microseconds):
                    self.storm(worker, function, microseconds / 1e6)

    def storm(self, worker, function, seconds):
        with Host(worker + "run_worker()") as host:
            path = os.path.join(host.directory, "runs")
            host.call("on_alarm", "storm")
            encoded = [host.encode_call("storm", seconds)]
            encoded += [host.encode_call(function, [n, path]) for n in range(500)]
            try:
                host.socket.sendall(b"".join(frame for _, frame in encoded))
            except ConnectionError:
                # The worker has ended before it could read them all.
                pass
            # The handler also raises in an idle worker.
            host.wait_for(lambda: host.ended, "the end")
            host.process.wait(30)
            runs = collections.Counter()
            if os.path.exists(path):
                with open(path) as file:
                    runs.update(file.read().split())
            self.assertLessEqual(max(runs.values(), default=0), 1, "a call ran again")
            for n, (call, _) in enumerate(encoded[1:]):
                if not host.answered(call):
                    if runs[str(n)]:
                        self.assertGreater(host.phase(call), 0)
                    continue
                answer = host.answer(call)
                if answer.kind == _frames.REPLY:
                    self.assertEqual((answer.value, runs[str(n)]), (n, 1))
                else:
                    self.assertIn("Storm", answer.payload.decode())


if __name__ == "__main__":
    unittest.main()
