"""Real workers of `def` functions: calls, results and errors, none of which ends the worker."""

import sys
import time
import unittest

from pyproc_worker import _frames, _msgpack

from .harness import Host, HostTest

WORKER = '''
import ctypes, os, sys, time
from pyproc_worker import current_call, expose, run_worker

@expose
def predict(req):
    """Doubles.

    More."""
    return {"result": req["value"] * 2}

@expose
def echo(value):
    return value

@expose("two")
def _two(a, b):
    return [a, b]

@expose(name="none")
def _none():
    return "called"

@expose
def optional(value=7):
    return value

@expose
def fail(req):
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("it went wrong") from error

@expose
def leave(req):
    sys.exit(3)

@expose
def press(req):
    raise KeyboardInterrupt("no")

class Pair(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int32), ("b", ctypes.c_int32)]

@expose
def odd(what):
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("no text")
    loop = []
    loop.append(loop)
    deep = []
    for _ in range(200000):
        deep = [deep]
    class Views(dict):
        def items(self):
            raise Broken()
    class BrokenGroup(Exception):
        @property
        def exceptions(self):
            sys.exit("no group")
    class coroutine:
        pass
    with memoryview(bytearray(b"raw")) as released:
        pass
    if what == "broken":
        raise Broken()
    if what == "broken group":
        raise BrokenGroup("text")
    if what == "surrogate error":
        raise ValueError("\\ud800")
    return {
        "object": {"a": [1, object()]}, "nan": [float("nan")], "inf": float("inf"), "surrogate": "\\ud800",
        "views": Views(a=1), "coroutine": coroutine(), "released": released,
        "formatted": memoryview((Pair * 20000)()),
        "circular": loop, "deep": deep, "generator": (x for x in ()), "big": 2 ** 70,
        "keys": {1: "a", None: "b", True: "c", 1.5: "d"}, "tuple": (1, 2), "bad key": {(1, 2): 3},
        "bytes": b"raw", "bytearray": bytearray(b"raw"), "memoryview": memoryview(b"raw"), "inner": {"x": b"raw"},
        "none": None, "unicode": "h\\u00e9 \\U0001f600",
    }[what]

@expose
def size(data):
    return [type(data).__name__, len(data)]

@expose
def make(n):
    return b"x" * n

@expose
def text(n):
    return "x" * n

@expose
def shout(line):
    print(line)
    print(line, file=sys.stderr)
    os.write(1, b"\\x00\\x00\\x00\\x01raw\\n")
    return len(line)

@expose
def context(req):
    call = current_call()
    assert current_call() is call
    return {"id": call.call_id, "remaining": call.remaining(), "metadata": call.metadata, "cancelled": call.cancelled}

if __name__ == "__main__":
    run_worker()
    print("after", flush=True)
'''


class CallsTest(HostTest):
    WORKER = WORKER
    HELLO = {"max_frame": 1 << 22}

    def refused(self, code, function, argument=None, **options):
        answer = self.host.call(function, argument, **options)
        self.assertEqual(answer.code, code, answer.payload)
        self.assertEqual(self.host.call("predict", {"value": 1}).value, {"result": 2})
        return answer.error

    def test_answers_a_call(self):
        answer = self.host.call("predict", {"value": 42})
        self.assertEqual(answer.value, {"result": 84})
        self.assertGreater(answer.service, 0)
        self.assertEqual(self.host.phase(answer.call), 2)

    def test_welcome_and_ready_describe_the_worker(self):
        welcome = self.host.frame_of(_frames.WELCOME)
        self.assertEqual(welcome, {"protocol": 1, "python": "%d.%d.%d" % sys.version_info[:3]})
        predict = self.host.ready()["functions"][0]
        self.assertEqual(predict["signature"], "(req)")
        self.assertEqual((predict["doc"], predict["kind"]), ("Doubles.\n\nMore.", "sync"))

    def test_answers_pipelined_calls_in_order(self):
        calls, data = [], b""
        for i in range(1000):
            call, frame = self.host.encode_call("predict", {"value": i})
            calls.append(call)
            data += frame
        self.host.socket.sendall(data)
        self.assertEqual([self.host.answer(c).value["result"] for c in calls], [2 * i for i in range(1000)])
        self.assertEqual(self.host.order[-1000:], calls)

    def test_frames_that_arrive_byte_by_byte(self):
        call, frame = self.host.encode_call("predict", {"value": 5})
        for i in range(len(frame)):
            self.host.socket.sendall(frame[i : i + 1])
        self.assertEqual(self.host.answer(call).value, {"result": 10})

    def test_binds_one_argument_to_the_parameters(self):
        for function, argument, expected in [
            ("two", {"a": 1, "b": 2}, [1, 2]),
            ("two", [1, 2], [1, 2]),
            ("none", {}, "called"),
            ("none", None, "called"),
            ("optional", None, 7),
            ("optional", 8, 8),
            ("echo", [1, 2], [1, 2]),
            ("echo", None, None),
        ]:
            with self.subTest(function=function, argument=argument):
                self.assertEqual(self.host.call(function, argument).value, expected)

    def test_an_argument_that_does_not_fit_says_where_and_has_not_run(self):
        call = self.host.start_call("two", {"a": 1, "c": 2})
        answer = self.host.answer(call)
        self.assertEqual((answer.code, self.host.phase(call)), (_frames.INVALID_ARGUMENT, 0))
        self.assertEqual(answer.error["type"], "InvalidArgument")
        self.assertEqual(
            answer.error["errors"],
            [
                {"path": "b", "message": "missing; expected a, b", "kind": "missing"},
                {"path": "c", "message": "unknown; expected a, b", "kind": "unknown"},
            ],
        )
        self.assertIn("b: missing; expected a, b; c: unknown", answer.error["message"])

    def test_a_call_without_an_argument(self):
        for codec in (_frames.CODEC_JSON, _frames.CODEC_MSGPACK, _frames.CODEC_BYTES):
            codec |= _frames.ABSENT
            self.assertIn(self.host.call("optional", codec=codec).payload, (b"7", b"\x07"))
            error = self.refused(_frames.INVALID_ARGUMENT, "echo", codec=codec)
            self.assertEqual(error["errors"][0]["kind"], "missing")
        answer = self.host.call("optional", codec=_frames.CODEC_JSON | _frames.ABSENT, metadata={"a": "b"})
        self.assertEqual(answer.value, 7)

    def test_an_exception_has_type_message_traceback_and_cause(self):
        error = self.refused(_frames.RAISED, "fail")
        self.assertEqual((error["type"], error["message"]), ("ValueError", "it went wrong"))
        self.assertIn("KeyError: 'missing'", error["traceback"])
        self.assertIn("direct cause", error["traceback"])
        self.assertIn('raise ValueError("it went wrong") from error', error["traceback"])
        self.assertNotIn("_sync_loop", error["traceback"])

    def test_an_exception_without_a_text_is_told(self):
        error = self.refused(_frames.RAISED, "odd", "broken")
        self.assertEqual(error["type"], "__main__.odd.<locals>.Broken")
        self.assertIn("RuntimeError", error["message"])
        self.assertIn("ud800", self.refused(_frames.RAISED, "odd", "surrogate error")["message"])
        self.assertEqual(self.refused(_frames.RAISED, "odd", "broken group")["message"], "text")

    def test_sys_exit_and_keyboard_interrupt_end_the_call_only(self):
        self.assertEqual(self.refused(_frames.RAISED, "leave")["type"], "SystemExit")
        self.assertEqual(self.refused(_frames.RAISED, "press")["type"], "KeyboardInterrupt")

    def test_results_that_json_cannot_hold_are_encode_errors(self):
        for what, part in [
            ("object", "result['a'][1] is of type object, which"),
            ("nan", "result[0] is nan"),
            ("inf", "result is inf"),
            ("surrogate", "lone surrogate"),
            ("circular", "contains itself"),
            ("deep", "too deeply"),
            ("generator", "streaming is not supported"),
            ("bad key", "result has a key of type tuple"),
            ("views", "the result (Views) cannot be encoded"),
            ("coroutine", "cannot be"),
            ("released", "released memoryview"),
        ]:
            with self.subTest(what=what):
                self.assertIn(part, self.refused(_frames.UNENCODABLE, "odd", what)["message"])

    def test_results_that_json_holds(self):
        for what, expected in [
            ("big", 2**70),
            ("keys", {"1": "c", "null": "b", "1.5": "d"}),
            ("tuple", [1, 2]),
            ("none", None),
            ("inner", {"x": "cmF3"}),
            ("unicode", "h\u00e9 \U0001f600"),
        ]:
            with self.subTest(what=what):
                self.assertEqual(self.host.call("odd", what).value, expected)

    def test_bytes_come_back_as_they_are(self):
        for what in ("bytes", "bytearray", "memoryview"):
            answer = self.host.call("odd", what)
            self.assertEqual((answer.codec, answer.value), (_frames.CODEC_BYTES, b"raw"))
        # More than 64 KiB of items that are neither bytes nor numbers.
        self.assertEqual(self.host.call("odd", "formatted").value, bytes(160_000))

    def test_arguments_that_are_not_json_are_decode_errors(self):
        for payload in [b"", b"{", b"NaN", b"1 2", b"\xff", b"\xef\xbb\xbf1", b'{"a":Infinity}', b"[" * 100000, b"'a'"]:
            with self.subTest(payload=payload[:20]):
                call, frame = self.host.encode_call("echo", None)
                frame = _frames.frame(_frames.CALL, _frames.CODEC_JSON, self.host.names.index("echo"), call, payload)
                self.host.socket.sendall(frame)
                answer = self.host.answer(call)
                self.assertEqual(answer.code, _frames.UNDECODABLE)
                self.assertEqual(self.host.phase(call), 0)

    def test_white_space_around_json_is_allowed(self):
        call, _ = self.host.encode_call("echo", None)
        payload = b" \t\r\n[1 , 2]\n "
        self.host.socket.sendall(
            _frames.frame(_frames.CALL, _frames.CODEC_JSON, self.host.names.index("echo"), call, payload)
        )
        self.assertEqual(self.host.answer(call).value, [1, 2])

    def test_an_unknown_function_is_refused_with_the_names(self):
        answer = self.host.call(999)
        self.assertEqual(answer.code, _frames.UNKNOWN_FUNCTION)
        self.assertIn("predict", answer.error["message"])

    def test_an_unknown_codec_is_a_decode_error(self):
        self.refused(_frames.UNDECODABLE, "echo", b"", codec=9)

    def test_message_pack(self):
        value = {"value": [1, -1, 2.5, None, True, "h\u00e9", b"raw", 2**63]}
        answer = self.host.call("echo", _msgpack.pack(value), codec=_frames.CODEC_MSGPACK)
        self.assertEqual(answer.codec, _frames.CODEC_MSGPACK)
        self.assertEqual(_msgpack.unpack(answer.payload), value)
        error = self.refused(_frames.UNENCODABLE, "odd", _msgpack.pack("big"), codec=_frames.CODEC_MSGPACK)
        self.assertIn("beyond 64 bits", error["message"])
        self.refused(_frames.UNDECODABLE, "echo", b"\x92\x01", codec=_frames.CODEC_MSGPACK)

    def test_no_payload_is_none(self):
        self.assertEqual(self.host.call("echo", b"", codec=_frames.CODEC_NONE).value, None)

    def test_bytes_of_every_size_go_both_ways(self):
        for n in (0, 1, 65500, 65536, 65537, 200_000, 3_000_000, 1_000_000, 10):
            with self.subTest(n=n):
                data = bytes(i & 255 for i in range(256)) * (n // 256) + b"z" * (n % 256)
                answer = self.host.call("echo", data, codec=_frames.CODEC_BYTES)
                self.assertEqual(answer.codec, _frames.CODEC_BYTES)
                self.assertTrue(answer.value == data)
                answer = self.host.call("size", data, codec=_frames.CODEC_BYTES)
                self.assertEqual(answer.value, ["bytes", n])

    def test_a_large_json_argument_and_result(self):
        value = [{"value": i} for i in range(20000)]
        self.assertEqual(self.host.call("echo", value).value, value)

    def test_large_and_small_frames_mixed(self):
        big = b"y" * 300_000
        sent = []
        for i in range(20):
            sent.append((self.host.start_call("echo", big, codec=_frames.CODEC_BYTES), big))
            sent += [(self.host.start_call("echo", i), i), (self.host.start_call("echo", i), i)]
        for call, expected in sent:
            self.assertTrue(self.host.answer(call).value == expected)

    def test_a_result_longer_than_a_frame(self):
        for function in ("make", "text"):
            error = self.refused(_frames.TOO_LARGE, function, 1 << 22)
            self.assertIn("a frame holds at most", error["message"])

    def test_printing_harms_nothing(self):
        self.assertEqual(self.host.call("shout", "hello there").value, 11)
        self.host.out.wait("hello there")
        self.host.err.wait("hello there")

    def test_the_context_of_a_call(self):
        deadline = time.monotonic() + 100
        answer = self.host.call("context", None, metadata={"traceparent": "00-ab"}, deadline=deadline).value
        self.assertEqual(answer["metadata"], {"traceparent": "00-ab"})
        self.assertTrue(90 < answer["remaining"] <= 100)
        self.assertFalse(answer["cancelled"])
        answer = self.host.call("context")
        self.assertEqual(answer.value, {"id": answer.call, "remaining": None, "metadata": {}, "cancelled": False})

    def test_a_bad_metadata_block_is_a_decode_error(self):
        for payload in (b"\x01", b"\x00\xff{}"):
            self.refused(_frames.UNDECODABLE, "echo", payload, codec=_frames.METADATA | _frames.CODEC_BYTES)

    def test_ping_is_answered(self):
        self.host.socket.sendall(_frames.frame(_frames.PING, 0, 0, 77))
        self.host.wait_for(lambda: any(f[0] == _frames.PONG and f[3] == 77 for f in self.host.frames), "Pong")


class SkipTest(unittest.TestCase):
    def test_a_marked_call_is_skipped_and_the_others_run(self):
        with Host(WORKER) as host:
            host.ready()
            for mark in (1, 2):
                first, a = host.encode_call("predict", {"value": 1})
                marked, b = host.encode_call("predict", {"value": 2})
                third, c = host.encode_call("predict", {"value": 3})
                host.mark(marked, mark)
                host.socket.sendall(a + b + c)
                self.assertEqual(host.answer(first).value, {"result": 2})
                self.assertEqual(host.answer(marked).code, _frames.SKIPPED)
                self.assertEqual(host.phase(marked), 0)
                self.assertEqual(host.answer(third).value, {"result": 6})

    def test_a_tiny_max_frame_still_gets_its_errors(self):
        with Host(WORKER, max_frame=300) as host:
            answer = host.call("fail")
            self.assertEqual((answer.code, answer.error["type"]), (_frames.RAISED, "ValueError"))
            self.assertEqual(host.call("text", 400).code, _frames.TOO_LARGE)
            self.assertEqual(host.call("text", 40).value, "x" * 40)


if __name__ == "__main__":
    unittest.main()
