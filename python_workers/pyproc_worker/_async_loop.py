"""The serving loop of a worker that exposes an `async def`: asyncio in the main thread.

Each call of an `async def` function is a task. A `def` function runs as soon as its frame is read,
and the loop waits for it. One write sends the replies of one iteration of the loop.
"""

import asyncio
import contextvars
import functools
import os
import sys
import time

from . import _errors, _trace
from ._calls import FINISHED
from ._context import STATE, CallCancelled, CallContext
from ._frames import (
    CALL,
    DRAIN,
    ERROR,
    HEADER,
    INDEX_MASK,
    INTERRUPTED,
    LENGTH_BASE,
    PING,
    PONG,
    RAISED,
    FrameReader,
    ProtocolError,
    service_time,
)
from ._interrupt import CALL_SITES, GRACE_NS, leaves_lock, on_interrupt, transparent, unsafe
from ._threads import remaining

CHUNK = 64 * 1024
# With more unsent bytes than this, the worker stops reading: the host does not read its replies.
_MOST_UNSENT = 4 * 1024 * 1024

# Shutdowns of executors that still run something. They must not be collected.
_UNFINISHED = []

_CURRENT = contextvars.ContextVar("pyproc_worker.call", default=None)


def new_loop():
    """Return a new event loop, now the current one, of the policy that the script has set."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def close_loop(loop):
    """Cancel the tasks of a loop and close it, as `asyncio.run` does, but limit the wait."""
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        _shut_down_executor(loop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _shut_down_executor(loop):
    task = loop.create_task(loop.shutdown_default_executor())
    loop.run_until_complete(asyncio.wait({task}, timeout=remaining()))
    if not task.done():
        # If it were cancelled or collected, it would join its thread without a limit.
        task._log_destroy_pending = False
        _UNFINISHED.append(task)


def serve(worker, calls, kinds):
    """Answer calls until Drain or the end of the socket; raises ProtocolError."""
    server = _Server(worker.channel, worker.loop, calls, kinds, worker.hello["max_frame"])
    STATE.task_context = _CURRENT
    loop = worker.loop
    number = worker.hello["interrupt_signal"]
    # The loop's own handler wakes an idle loop; ours, set after it, ends code that blocks it.
    loop.add_signal_handler(number, server.cancel_marked)
    worker.set_interrupt_handler(server.on_signal)
    on_error = loop.get_exception_handler()
    loop.set_exception_handler(server.exception_handler(on_error))
    try:
        server.start()
        _run(loop, server)
    except BaseException as error:
        # A signal handler of the script raised between two callbacks.
        server.fail(error)
    if server.failure is not None:
        server.send_rest()
    loop.set_exception_handler(on_error)
    loop.remove_signal_handler(number)
    if server.failure is not None:
        raise server.failure


def _run(loop, server):
    while not server.done:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            if _is_between_callbacks(error.__traceback__):
                raise
            # asyncio lets these two through when a task that user code created raises them. The
            # call that awaits the task gets them too, and answers.
            continue


def _is_between_callbacks(traceback):
    # Whether the loop itself, not a callback, called the code that raised: a signal handler.
    caller = None
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__"))
        if not _errors.is_own(traceback.tb_frame) and name.partition(".")[0] not in ("asyncio", "selectors"):
            break
        caller = traceback.tb_frame.f_code.co_name
        traceback = traceback.tb_next
    return caller in ("run_forever", "_run_once", "select")


def _callback(method):
    """Make a method of the server a callback that ends the server when it raises.

    asyncio would log the exception and continue, and the rest of the callback would never run.
    """

    @functools.wraps(method)
    def called(self, *arguments):
        try:
            method(self, *arguments)
        except BaseException as error:
            self.fail(error)

    return called


class _Server:
    def __init__(self, channel, loop, calls, kinds, max_frame):
        self.socket = channel.socket
        self.loop = loop
        self.calls = calls
        self.kinds = kinds
        self.max_frame = max_frame
        self.reader = FrameReader(max_frame)
        # The tasks that have not ended, each with its call id.
        self.tasks = {}
        self.start_task = loop.create_task
        if sys.version_info >= (3, 12) and loop.get_task_factory() is None:
            # The first step runs at once: a call that never waits needs no iteration of the loop.
            self.start_task = functools.partial(asyncio.Task, loop=loop, eager_start=True)
        # The contexts of the calls whose functions have started.
        self.running = {}
        self.out = []
        self.unsent = b""
        self.flushing = False
        self.reading = False
        # Whether a timer is set that cancels tasks again if they do not end.
        self.repeating = False
        self.ending = False
        self.done = False
        self.failure = None
        # Whether it is unknown how much of `unsent` has been sent; remains so if the send raised.
        self.writing = False

    def start(self):
        os.set_blocking(self.socket.fileno(), False)
        self._read_on()

    def _read_on(self):
        if not self.reading and not self.ending:
            self.reading = True
            self.loop.add_reader(self.socket.fileno(), self._readable)

    def _read_off(self):
        if self.reading:
            self.reading = False
            self.loop.remove_reader(self.socket.fileno())

    @_callback
    def _readable(self):
        try:
            room = self.reader.room()
            if room is None:
                data = self.socket.recv(CHUNK)
                frames = self.reader.feed(data) if data else ()
            else:
                count = self.socket.recv_into(room)
                data = count > 0
                frames = self.reader.filled(count) if data else ()
            if not data and not self.reader.at_boundary():
                raise ProtocolError("the socket ended inside a frame")
            for found in frames:
                self._take(*found)
                if self.ending:
                    return
        except (BlockingIOError, InterruptedError, ConnectionError) as error:
            if _errors.is_foreign(error):
                raise
            if not isinstance(error, ConnectionError):
                return
            data = b""
        except ProtocolError as error:
            self.failure = error
            data = b""
        if not data:
            STATE.stopping = True
            self._finish()
            self.cancel_marked()

    def _take(self, kind, codec, function, call, payload):
        if kind == CALL:
            if function < len(self.kinds) and self.kinds[function]:
                task = self.start_task(self._answer(codec, function, call, payload))
                if task.done():
                    self._check(task, call)
                else:
                    self.tasks[task] = call
                    task.add_done_callback(self._task_done)
            else:
                started = time.perf_counter_ns()
                self._send(call, started, *self.calls.run(codec, function, call, payload))
        elif kind == PING:
            self._queue(HEADER.pack(LENGTH_BASE, PONG, 0, 0, call))
        elif kind == DRAIN:
            self._finish()
        else:
            self.calls.other(kind, payload, self._send_now)

    async def _answer(self, codec, function, call, payload):
        started = time.perf_counter_ns()
        begun = self.calls.begin(codec, function, call, payload)
        if len(begun) == 3:
            self._send(call, started, *begun)
            return
        called, argument, metadata, codec = begun
        context = CallContext(call, STATE, metadata)
        context._task = asyncio.current_task()
        _CURRENT.set(context)
        if metadata:
            # The context belongs to the task and ends with it.
            _trace.attach(metadata)
        self.running[call] = context
        try:
            result = await called(argument)
            self.calls.phase[call & INDEX_MASK] = FINISHED
        except BaseException as error:
            context._end()
            answer = self.calls.raised(call, error)
            if issubclass(type(error), asyncio.CancelledError) and context.cancelled:
                answer = (ERROR, INTERRUPTED, answer[2])
        else:
            answer = self.calls.result(codec, result)
        finally:
            context._end()
            del self.running[call]
        self._send(call, started, *answer)

    @_callback
    def _task_done(self, task):
        self._check(task, self.tasks.pop(task))
        if self.ending:
            self._end_if_idle()

    def _check(self, task, call):
        if task.cancelled():
            if STATE.stopping:
                # The loop is closing. The phase shows that the call has not started.
                return
            # User code cancelled all tasks, this one before its first step.
            error = _errors.payload("asyncio.exceptions.CancelledError", "cancelled before it started")
            self._send(call, time.perf_counter_ns(), ERROR, RAISED, error)
        elif isinstance(task.exception(), ProtocolError):
            self.failure = task.exception()
            self._finish()
        elif task.exception() is not None:
            self.fail(task.exception())

    @_callback
    def cancel_marked(self):
        """Cancel the tasks whose mark requests it."""
        now = time.monotonic_ns()
        for context in list(self.running.values()):
            if context.cancelled and self._due(context, now):
                context._task.cancel()
        if STATE.stopping and self.running and not self.repeating:
            # The host may be dead, so nothing else would cancel them again.
            self.repeating = True
            self.loop.call_later(GRACE_NS / 1e9, self._repeat)

    @_callback
    def _repeat(self):
        self.repeating = False
        self.cancel_marked()

    def on_signal(self, number, frame):
        """Raise CallCancelled in code that blocks the loop, if its call is marked."""
        if STATE.stopping:
            self.loop.call_soon_threadsafe(self.cancel_marked)
        if STATE.armed >= 0:
            on_interrupt(number, frame)
            return
        context = _CURRENT.get()
        if context is None or context._ended or STATE.forked or not context.cancelled:
            return
        if not self._in_task(frame) or not self._due(context, time.monotonic_ns()):
            return
        raise CallCancelled("the call was cancelled")

    @staticmethod
    def _due(context, now):
        # As in `_interrupt.may_raise`: a call gets time for its cleanup, and one with a cancel
        # event gets time to notice that.
        last, context._interrupted_at = context._interrupted_at, now
        if last is None:
            return not context._cooperative
        if now - last < GRACE_NS:
            context._interrupted_at = last
            return False
        return True

    def _in_task(self, frame):
        # The only frame of ours above a task that a function has started is `_run`.
        if leaves_lock(frame) or str(frame.f_globals.get("__name__")).startswith("asyncio."):
            return False
        innermost = frame
        while frame is not None:
            if frame.f_code in CALL_SITES:
                return frame is not innermost
            if frame.f_code is _run.__code__:
                return asyncio.current_task(self.loop) is not None
            if unsafe(frame) or not transparent(frame):
                return False
            frame = frame.f_back
        return False

    def _send(self, call, started, kind, codec, payload):
        if len(payload) + LENGTH_BASE > self.max_frame:
            kind, codec, payload = self.calls.too_large(kind, codec, payload)
        spent = service_time((time.perf_counter_ns() - started + 999) // 1000)
        # A view of a bytearray is sent later, and user code may change it before that.
        payload = payload if type(payload) is bytes else bytes(payload)
        self._queue(HEADER.pack(len(payload) + LENGTH_BASE, kind, codec, spent, call), payload)

    def _send_now(self, data):
        """Block until all that is queued, and `data`, is sent; for injected faults and the end."""
        os.set_blocking(self.socket.fileno(), True)
        try:
            self.socket.sendall(b"".join([self.unsent, *self.out, data]))
        finally:
            os.set_blocking(self.socket.fileno(), False)
        self.unsent = b""
        self.out.clear()

    def fail(self, error):
        """End at once with an exception that was raised outside of a call."""
        self.failure = error
        self.ending = self.done = True
        self._read_off()
        if self.loop.is_running():
            self.loop.stop()

    def exception_handler(self, otherwise):
        """Return a handler of the loop's exceptions that ends the server if a callback was lost."""

        def on_error(loop, context):
            # A signal handler of the script raised before the callback started.
            callback = getattr(context.get("handle"), "_callback", None)
            owner = getattr(callback, "__self__", None)
            if owner is self or isinstance(owner, asyncio.Task):
                self.fail(context.get("exception"))
            elif otherwise is not None:
                otherwise(loop, context)
            else:
                loop.default_exception_handler(context)

        return on_error

    def send_rest(self):
        """Send the queued answers of a server that has failed, and nothing after them."""
        if self.writing:
            return
        self.writing = True
        if self.unsent or self.out:
            try:
                self._send_now(b"")
            except ConnectionError:
                pass

    def _queue(self, *parts):
        self.out.extend(parts)
        if not self.flushing:
            self.flushing = True
            self.loop.call_soon(self._flush)

    @_callback
    def _flush(self):
        self.flushing = False
        if self.out:
            data = b"".join([self.unsent, *self.out])
            self.out.clear()
            waiting = bool(self.unsent)
            self.unsent = data
            if not waiting:
                self._write()
        if self.ending:
            self._end_if_idle()

    def _write(self):
        if self.writing:
            return
        self.writing = True
        try:
            sent = self.socket.send(self.unsent)
        except (BlockingIOError, InterruptedError, ConnectionError) as error:
            if _errors.is_foreign(error):
                raise
            # After a ConnectionError nobody reads it; the reader finds the end of the socket.
            sent = len(self.unsent) if isinstance(error, ConnectionError) else 0
        self.unsent = self.unsent[sent:]
        self.writing = False
        if self.unsent:
            self.loop.add_writer(self.socket.fileno(), self._writable)
            if len(self.unsent) > _MOST_UNSENT:
                self._read_off()

    @_callback
    def _writable(self):
        self.loop.remove_writer(self.socket.fileno())
        self._write()
        if not self.unsent:
            self._read_on()
            if self.ending:
                self._end_if_idle()

    def _finish(self):
        self.ending = True
        self._read_off()
        self._end_if_idle()

    def _end_if_idle(self):
        if not self.done and not self.tasks and not self.out and not self.unsent:
            self.done = True
            self.loop.stop()


CALL_SITES.add(_Server._answer.__code__)
