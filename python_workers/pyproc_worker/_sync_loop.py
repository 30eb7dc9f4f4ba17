"""The serving loop of a worker whose functions are all `def`: it blocks on the socket.

It limits the latency and the throughput of the whole pool. The path of a small JSON or MessagePack
call is inlined in one function that uses only locals, and so are the JSON functions of the standard
library; everything else goes through `Calls`.
"""

from time import perf_counter_ns

from ._calls import FINISHED, RUNNING
from ._codec import DUMPS, LOADS, inlined_codec, json_encoder, scan_json
from ._context import STATE
from ._frames import (
    CALL,
    CODEC_JSON,
    CODEC_MSGPACK,
    DRAIN,
    EXACT,
    HEADER,
    HEADER_SIZE,
    INDEX_MASK,
    LARGE,
    LENGTH_BASE,
    PING,
    PONG,
    REPLY,
    ProtocolError,
    check_length,
    frame,
    service_time,
)
from ._interrupt import CALL_SITES

# The most that one recv reads: a batch of about a thousand small frames.
CHUNK = 64 * 1024


def serve(channel, calls, flush_ns):
    """Answer calls until Drain or the end of the socket; raises ProtocolError.

    Exceptions that a signal handler of the script raises outside of a call propagate too.
    """
    # Headers and payloads in turn.
    out = []
    try:
        _serve(channel, calls, flush_ns, out)
    except BaseException:
        if len(out) % 2:
            out.pop()
        _flush(out, channel.sendall)
        raise


def _flush(out, sendall):
    if out:
        replies = b"".join(out)
        # Cleared first: an exception can leave them partly sent, and they must not be sent twice.
        out.clear()
        sendall(replies)


def _serve(channel, calls, flush_ns, out):
    append = out.append
    # Locals are Python's fastest names.
    clock, join, unpack, pack = perf_counter_ns, "".join, HEADER.unpack_from, HEADER.pack
    inlined, scan, encode = inlined_codec(), scan_json, json_encoder()
    loads, dumps = LOADS, DUMPS
    functions, phase, marks, state = calls.functions, calls.phase, calls.marks, STATE
    max_frame = calls.max_frame
    large = min(LARGE, max_frame - LENGTH_BASE)
    recv, sendall = channel.recv, channel.sendall
    # After a call of this many microseconds, the gathered replies are written at once, so that they
    # do not wait for the next call.
    prompt = flush_ns // 4000
    # Functions whose last call took that long, or that have not been called yet.
    slow = set(range(len(functions)))
    rest = b""
    want = CHUNK

    while True:
        # An idle worker must not keep the last argument and result alive.
        argument = result = text = payload = None
        data = recv(want)
        if not data:
            if rest:
                raise ProtocolError("the socket ended inside a frame")
            return
        if rest:
            data = rest + data
            rest = b""
        want = CHUNK
        size = len(data)
        start = 0
        then = clock()
        # The first write of a batch is early, so that the host works while the rest of it runs.
        due = then + flush_ns // 4
        while size - start >= HEADER_SIZE:
            length, kind, codec, function, call = unpack(data, start)
            if not LENGTH_BASE <= length <= max_frame:
                _flush(out, sendall)
                check_length(length, max_frame)
            end = start + 4 + length
            if end > size:
                if length <= LARGE:
                    break
                _flush(out, sendall)
                payload = channel.receive_exactly(data[start + HEADER_SIZE :], length - LENGTH_BASE)
                data = b""
                end = size = 0
                # Large frames often follow each other. If only the next header is read first, its
                # payload can be received directly into its final buffer.
                want = HEADER_SIZE
            else:
                payload = None
            if kind == CALL:
                if slow and function in slow:
                    slow.discard(function)
                    _flush(out, sendall)
                if (codec == CODEC_JSON or codec == CODEC_MSGPACK) and payload is None:
                    # While `kind` is CALL, the function has not started. Once it has, it must not
                    # run again, whatever a signal handler of the script raises between two
                    # bytecodes.
                    try:
                        index = call & INDEX_MASK
                        phase[index] = RUNNING
                        called = functions[function]
                        if codec == inlined:
                            text = data[start + HEADER_SIZE : end].decode()
                            argument, stop = scan(text, 0)
                            if stop != len(text) or marks[index]:
                                raise ValueError
                        else:
                            argument = loads[codec](data[start + HEADER_SIZE : end])
                            if marks[index]:
                                raise ValueError
                        state.armed = call
                        kind = REPLY
                        result = called(argument)
                        state.armed = -1
                        phase[index] = FINISHED
                        if codec == inlined:
                            payload = join(encode(result, 0)).encode()
                        else:
                            payload = dumps[codec](result)
                    except BaseException as error:
                        # How far the call got determines what failed.
                        if kind == CALL:
                            state.armed = -1
                            kind = 0
                        elif state.armed != -1:
                            kind, codec, payload = calls.raised(call, error)
                        else:
                            kind, codec, payload = calls.returned(codec, call, result)
                    if not kind:
                        kind, codec, payload = calls.run(codec, function, call, data[start + HEADER_SIZE : end])
                else:
                    if payload is None:
                        payload = data[start + HEADER_SIZE : end]
                    kind, codec, payload = calls.run(codec, function, call, payload)
                now = clock()
                microseconds = (now - then + 999) // 1000
                if microseconds > EXACT:
                    microseconds = service_time(microseconds)
                length = len(payload)
                if length > large:
                    if length + LENGTH_BASE > max_frame:
                        kind, codec, payload = calls.too_large(kind, codec, payload)
                        length = len(payload)
                    _flush(out, sendall)
                    channel.send_large(pack(length + LENGTH_BASE, kind, codec, microseconds, call), payload)
                else:
                    append(pack(length + LENGTH_BASE, kind, codec, microseconds, call))
                    append(payload)
                if microseconds > prompt or now > due:
                    _flush(out, sendall)
                    if microseconds > prompt:
                        slow.add(function)
                    due = now + flush_ns
                then = now
            elif kind == PING:
                append(frame(PONG, 0, 0, call))
                append(b"")
            elif kind == DRAIN:
                _flush(out, sendall)
                return
            else:
                _flush(out, sendall)
                calls.other(kind, data[start + HEADER_SIZE : end], sendall)
            start = end
        if start < size:
            rest = data[start:]
        if out:
            payload = b"".join(out)
            out.clear()
            sendall(payload)


CALL_SITES.add(_serve.__code__)
