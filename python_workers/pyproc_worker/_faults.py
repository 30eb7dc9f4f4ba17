"""Injects faults (docs/protocol.md, section 8). Imported with the first fault."""

import os
import time

from . import _codec
from ._calls import FINISHED
from ._context import current_call
from ._frames import CODEC_JSON, HEADER, INDEX_MASK, LENGTH_BASE, REPLY, frame

EXIT_STATUS = 70
# A call that no host has sent: the highest sequence number at the last index.
_NEVER_SENT = 0xFFFFFFFF
# The difference between the call ids of one use of an index and the next.
_NEXT_USE = INDEX_MASK + 1

# The memory that the memory fault has taken.
_HOARD = []


def at_start(order):
    """Inject the fault that Hello requests, before the script is loaded."""
    if order["kind"] == "slow_start":
        time.sleep(order["seconds"])
    elif order["kind"] == "start_failure":
        raise RuntimeError("an injected fault made this start fail")
    else:
        raise ValueError("%r is not a fault of the start" % order["kind"])


def inject(payload, send, channel, calls, kinds):
    """Inject the fault of a Fault frame, now or in the next call; `send` sends at once."""
    order = _codec.load_json(payload)
    name = order["kind"]
    if name == "garbage":
        # The first byte makes the length greater than that of any frame.
        send(b"\xff" + os.urandom(63))
    elif name == "oversize":
        send(HEADER.pack(calls.max_frame + 1, REPLY, CODEC_JSON, 0, _NEVER_SENT))
    elif name == "truncated":
        send(HEADER.pack(LENGTH_BASE + 100, REPLY, CODEC_JSON, 0, _NEVER_SENT) + b'"cut')
        _close(channel)
    elif name == "close":
        _close(channel)
    elif name == "wrong_reply":
        send(frame(REPLY, CODEC_JSON, 0, _NEVER_SENT, b'"wrong"'))
    elif name == "slow_reader":
        time.sleep(order["seconds"])
    elif name == "memory":
        # The kernel would not back zeros with memory.
        _HOARD.append(b"\xa5" * order["bytes"])
    else:
        before, after = {
            "exit": _exit,
            "exit_mid_reply": _exit_mid_reply,
            "old_reply": _old_reply,
            "duplicate_reply": _duplicate_reply,
        }[name](send, calls, kinds)
        _with_next_call(calls, kinds, before, after)


def _close(channel):
    # The process stays alive and does nothing until its host ends it.
    channel.socket.shutdown(2)
    while True:
        time.sleep(60)


def _with_next_call(calls, kinds, before, after):
    """Pass the next call, whatever its function, through `before(id)` and `after(id, result)`."""
    functions, absent = calls.functions, calls.absent
    originals = list(functions), list(absent)

    def begin():
        if functions:
            # A worker that must stop has emptied the list.
            functions[:], absent[:] = originals
        call = current_call().call_id
        before(call)
        return call

    def of_def(original):
        def called(argument):
            call = begin()
            return after(call, original(argument))

        return called

    def of_async_def(original):
        async def called(argument):
            call = begin()
            return after(call, await original(argument))

        return called

    for wrapped, plain in zip((functions, absent), originals):
        wrapped[:] = [(of_async_def if kind else of_def)(original) for kind, original in zip(kinds, plain)]


def _unchanged(call, result):
    return result


def _exit(send, calls, kinds):
    return lambda call: os._exit(EXIT_STATUS), _unchanged


def _exit_mid_reply(send, calls, kinds):
    def after(call, result):
        calls.phase[call & INDEX_MASK] = FINISHED
        data = _reply(calls, call, result)
        send(data[: len(data) // 2])
        os._exit(EXIT_STATUS)

    return _nothing, after


def _old_reply(send, calls, kinds):
    def before(call):
        send(frame(REPLY, CODEC_JSON, 0, (call - _NEXT_USE) & _NEVER_SENT, b'"old"'))

    return before, _unchanged


def _duplicate_reply(send, calls, kinds):
    def after(call, result):
        # The first reply must be sent before the second, so the second goes with the next call.
        second = _reply(calls, call, result)
        _with_next_call(calls, kinds, lambda _: send(second), _unchanged)
        return result

    return _nothing, after


def _nothing(call):
    pass


def _reply(calls, call, result):
    kind, codec, payload = calls.result(CODEC_JSON, result)
    return frame(kind, codec, 0, call, payload)
