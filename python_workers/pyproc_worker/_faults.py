"""Faults on demand: docs/protocol.md, section 8. It is imported when the first one comes."""

import os
import time

from . import _codec
from ._calls import FINISHED
from ._context import current_call
from ._frames import CODEC_JSON, HEADER, INDEX_MASK, LENGTH_BASE, REPLY, frame

EXIT_STATUS = 70
# A call that no host has sent: the highest sequence number at the last index.
_NEVER_SENT = 0xFFFFFFFF
# What is added to a call id from one use of its index to the next.
_NEXT_USE = INDEX_MASK + 1

# What the memory fault has taken.
_HOARD = []


def at_start(order):
    """Do wrong what `fault` in Hello says, before the script is loaded."""
    if order["kind"] == "slow_start":
        time.sleep(order["seconds"])
    elif order["kind"] == "start_failure":
        raise RuntimeError("a fault was injected: this start fails")
    else:
        raise ValueError("no fault %r for a start" % order["kind"])


def inject(payload, send, channel, calls, kinds):
    """Do wrong what a Fault frame says, now or with the next call. `send` blocks until all is sent."""
    order = _codec.load_json(payload)
    name = order["kind"]
    if name == "garbage":
        # The first byte makes it a length that no frame has.
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
        # Bytes of zero would take none.
        _HOARD.append(b"\xa5" * order["bytes"])
    else:
        before, after = {
            "exit": _exit,
            "exit_mid_reply": _exit_mid_reply,
            "old_reply": _old_reply,
            "duplicate_reply": _duplicate_reply,
        }[name](send, calls, kinds)
        _with_next_call(calls.functions, kinds, before, after)


def _close(channel):
    # The process lives on and does nothing, until its host ends it.
    channel.socket.shutdown(2)
    while True:
        time.sleep(60)


def _with_next_call(functions, kinds, before, after):
    """Let the next call of any function go through `before(id)` and `after(id, result)`, and none after it."""
    originals = list(functions)

    def begin():
        if functions:
            # A worker that was told to stop has emptied the list.
            functions[:] = originals
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

    functions[:] = [(of_async_def if kind else of_def)(original) for kind, original in zip(kinds, originals)]


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
        # A second reply is one only when the first has been sent, so it goes with the next call.
        second = _reply(calls, call, result)
        _with_next_call(calls.functions, kinds, lambda _: send(second), _unchanged)
        return result

    return _nothing, after


def _nothing(call):
    pass


def _reply(calls, call, result):
    kind, codec, payload = calls.result(CODEC_JSON, result)
    return frame(kind, codec, 0, call, payload)
