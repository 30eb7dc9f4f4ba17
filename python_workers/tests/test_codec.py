"""The limits of JSON and MessagePack: what they reject is an exception, never a crash."""

import datetime
import json
import math
import subprocess
import sys
import unittest

from pyproc_worker import _codec, _errors, _frames, _msgpack, _refusal

from . import harness

VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.5,
    1e300,
    "",
    "a",
    "h\u00e9llo \U0001f600 \u2028",
    'quote" back\\slash \n\t\x00\x1f',
    [],
    {},
    [1, [2, [3]], {}],
    {"a": {"b": [1, 2, {"c": None}]}, "": ""},
    ["x" * 300, "y" * 70000],
    {str(i): i for i in range(20)},
    list(range(-200, 70000, 997)),
]


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


class JsonTest(unittest.TestCase):
    def test_private_functions_are_in_use(self):
        from _json import make_encoder

        self.assertIsInstance(_codec.json_encoder(), make_encoder)

    def test_round_trips_and_agrees_with_json(self):
        for value in VALUES + [2**70, (1, 2)]:
            data = _codec.dump_json(value)
            self.assertEqual(data, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
            self.assertEqual(_codec.load_json(data), json.loads(data))

    def test_both_encoders_agree(self):
        encode, checked = _codec._make_encoder(None), _codec._make_encoder({})
        for value in VALUES:
            self.assertEqual("".join(encode(value, 0)), "".join(checked(value, 0)))

    def test_the_public_functions_would_do(self):
        scan, make_encoder = _codec._public_functions()
        for value in VALUES:
            text = "".join(make_encoder({})(value, 0))
            self.assertEqual(text.encode(), _codec.dump_json(value))
            self.assertEqual(scan(text, 0)[0], value)
        with self.assertRaises(ValueError):
            make_encoder({})(math.nan, 0)

    def test_keys_follow_json(self):
        value = {1: 1, None: 2, True: 3, 2.5: 4, "s": 5}
        self.assertEqual(_codec.dump_json(value), json.dumps(value, separators=(",", ":")).encode())

    def test_refuses_what_json_has_not(self):
        circular = {}
        circular["self"] = [circular]
        for value in [
            math.nan,
            [math.inf],
            {"a": -math.inf},
            object(),
            "\ud800",
            {"\udfff": 1},
            {(1,): 2},
            {math.nan: 1},
            circular,
            nested(100_000),
            1j,
        ]:
            with self.subTest(type(value).__name__), self.assertRaises(_codec.Refused) as caught:
                _codec.encode(_frames.CODEC_JSON, [value])
            self.assertTrue(caught.exception.message)
        # The ids that the failures left must not be mistaken for a circle.
        self.assertEqual(_codec.dump_json([[], [[]], {}]), b"[[],[[]],{}]")

    def test_the_checked_encoder_is_used_where_the_recursion_limit_is_raised(self):
        limit = sys.getrecursionlimit()
        try:
            sys.setrecursionlimit(100_000)
            encode = _codec.json_encoder()
        finally:
            sys.setrecursionlimit(limit)
        circular = []
        circular.append(circular)
        with self.assertRaises(ValueError):
            encode(circular, 0)
        _codec._markers.clear()

    def test_strict_input(self):
        self.assertEqual(_codec.load_json(b" [1,\n2 ]\r\n\t"), [1, 2])
        self.assertEqual(_codec.load_json(b'"\\ud800"'), "\ud800")
        self.assertEqual(_codec.load_json(b"123456789012345678901234567890"), 123456789012345678901234567890)
        for payload in [
            b"",
            b" ",
            b"{",
            b"[1,]",
            b"NaN",
            b"-Infinity",
            b"1 2",
            b"1\x00",
            b"\xef\xbb\xbf1",
            b"\xff",
            b"\xed\xa0\x80",
            b"'a'",
            b'"a\nb"',
            b"\xc2\xa01",
            "1".encode("utf-16"),
            b"1" * 5000 if sys.version_info >= (3, 11) else b"-",
        ]:
            with self.subTest(payload=payload[:20]), self.assertRaises(ValueError):
                _codec.load_json(payload)
        with self.assertRaises(RecursionError):
            _codec.load_json(b"[" * 500_000)

    def test_bytes_like_results(self):
        self.assertEqual(_codec.encode(_frames.CODEC_JSON, b"ab"), (_frames.CODEC_BYTES, b"ab"))
        for result in (bytearray(b"ab"), memoryview(b"xabx")[1:3]):
            self.assertEqual(_codec.encode(_frames.CODEC_BYTES, result), (_frames.CODEC_BYTES, b"ab"))
        self.assertEqual(_codec.encode(_frames.CODEC_NONE, memoryview(b"a1b1")[::2])[1], b"ab")
        large = bytearray(100_000)
        self.assertEqual(len(_codec.encode(_frames.CODEC_BYTES, memoryview(large).cast("I"))[1]), 100_000)
        self.assertEqual(_codec.encode(_frames.CODEC_BYTES, [1]), (_frames.CODEC_JSON, b"[1]"))
        self.assertEqual(_codec.encode(_frames.CODEC_MSGPACK, b"ab"), (_frames.CODEC_MSGPACK, b"\xc4\x02ab"))

    def test_decode_by_codec(self):
        self.assertEqual(_codec.decode(_frames.CODEC_BYTES, bytearray(b"a")), b"a")
        self.assertIsNone(_codec.decode(_frames.CODEC_NONE, b""))
        with self.assertRaises(ValueError):
            _codec.decode(9, b"")


class MessagePackTest(unittest.TestCase):
    def functions(self):
        """Our functions and, if it is installed, those of the msgpack package."""
        return {(_msgpack.pack, _msgpack.unpack), _msgpack.choose()}

    def test_round_trips(self):
        extensions = [_msgpack.ExtType(c, b"e" * n) for c, n in [(5, 1), (64, 2), (127, 4), (0, 8), (1, 16), (2, 3)]]
        sizes = [0, 15, 16, 31, 32, 255, 256, 65535, 65536]
        values = [
            *VALUES,
            *extensions,
            _msgpack.ExtType(9, b"x" * 70000),
            2**64 - 1,
            math.inf,
            *(s * n for n in sizes for s in ("s", b"b", [1])),
            *({i: i for i in range(n)} for n in sizes[:-2]),
            {1: 2, None: 3, b"k": 4, 2.5: 5, True: 6},
            *(sign * (1 << bits) + off for bits in range(63) for sign in (1, -1) for off in (-1, 0, 1)),
        ]
        for pack, unpack in self.functions():
            for value in values:
                self.assertEqual(unpack(pack(value)), value)
                self.assertEqual(pack(value), _msgpack.pack(value))
            self.assertTrue(math.isnan(unpack(pack(math.nan))))

    def test_decodes_timestamps(self):
        utc = datetime.timezone.utc
        for data, expected in [
            (b"\xd6\xff\x65\xdf\xd6\x8b", datetime.datetime(2024, 2, 29, 0, 57, 47, tzinfo=utc)),
            (b"\xd7\xff" + (1000 << 34 | 5).to_bytes(8, "big"), datetime.datetime(1970, 1, 1, 0, 0, 5, 1, tzinfo=utc)),
            (b"\xc7\x0c\xff\0\0\0\0" + b"\xff" * 8, datetime.datetime(1969, 12, 31, 23, 59, 59, tzinfo=utc)),
        ]:
            for _, unpack in self.functions():
                self.assertEqual(unpack(data), expected)

    def test_encodes_like_sequences_and_views(self):
        for pack, unpack in self.functions():
            self.assertEqual(unpack(pack((1, (2,)))), [1, [2]])
            self.assertEqual(unpack(pack([bytearray(b"a"), memoryview(b"bc")])), [b"a", b"bc"])
            self.assertEqual(unpack(b"\xca\x3f\x80\x00\x00"), 1.0)
            self.assertEqual(unpack(b"\xd4\xfe\x00"), _msgpack.ExtType(-2, b"\x00"))

    def test_refuses_what_cannot_be_packed(self):
        circular = []
        circular.append(circular)
        for pack, _ in self.functions():
            bad = [
                {1},
                2**64,
                -(2**63) - 1,
                "\ud800",
                object(),
                datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
                circular,
                nested(100_000),
                1j,
                _msgpack.ExtType(-2, b""),
            ]
            for at, value in enumerate(bad):
                with self.subTest(at=at), self.assertRaises((TypeError, ValueError, OverflowError, RecursionError)):
                    pack(value)
            self.assertEqual(pack([1]), b"\x91\x01")

    def test_refuses_what_cannot_be_unpacked(self):
        good = _msgpack.pack({"a": [1, 2.5, "text", b"bin", _msgpack.ExtType(4, b"abc"), 300, -300, 70000]})
        bad = [good[:n] for n in range(len(good))]
        bad += [good + b"\x00", b"\xc1", b"\xa1\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff\x01\x01"]
        bad += [b"\xc6\xff\xff\xff\xff1", b"\x81\x90\x01", b"\x91" * 100_000, b"\xd6\xff\x00", b"\xc7\x03\xff123"]
        bad += [b"\x91" * 2000 + b"\x01", b"\xc7\x0c\xff\0\0\0\0\x7f" + b"\xff" * 7]
        with self.assertRaises(ValueError):
            _msgpack.unpack(b"\xc7\x0c\xff" + b"\xff" * 12)
        for _, unpack in self.functions():
            for payload in bad:
                with self.subTest(payload=payload[:20]), self.assertRaises((ValueError, TypeError, OverflowError)):
                    unpack(payload)

    def test_depth_of_the_limit_is_allowed(self):
        data = b"\x91" * 999 + b"\x90"
        self.assertEqual(_msgpack.pack(_msgpack.unpack(data)), data)


class RefusalTest(unittest.TestCase):
    def test_finds_the_culprit(self):
        def explain(result, codec=_frames.CODEC_JSON):
            with self.assertRaises(_codec.Refused) as caught:
                _codec.encode(codec, result)
            return caught.exception.message

        self.assertIn("result['a'][1]['b'] is of type object, which", explain({"a": [1, {"b": object()}]}))
        self.assertIn("result[0] is nan, which cannot be encoded as JSON", explain([math.nan, {1}, -math.inf]))
        self.assertIn("result[1][99999] is inf", explain([{1}, (*range(99_999), math.inf, math.nan)]))
        self.assertIn("result['a'] has a key of type tuple, which", explain({"a": {(1,): 2}}))
        self.assertIn("the function returned a generator", explain(x for x in ()))
        self.assertIn("a key that is a str with a lone surrogate", explain({"\ud800": 1}))
        self.assertIn("result[0] is an int beyond 64 bits", explain([2**64], _frames.CODEC_MSGPACK))
        self.assertIn("contains itself", explain(nested(100_000)))

    def test_code_of_a_result_may_do_what_it_likes(self):
        class Odd(dict):
            def items(self):
                raise SystemExit("in items")

        with self.assertRaises(_codec.Refused):
            _codec.encode(_frames.CODEC_JSON, [Odd(a=1)])

    def test_gives_up_on_a_huge_result(self):
        error = TypeError("no")
        self.assertIn("result (list)", _refusal.explain(1, [0] * 300_000, error))


class FirstErrorTest(unittest.TestCase):
    def test_the_first_argument_that_is_not_json_is_a_value_error(self):
        # The C scanner of some versions has no error to raise until `json` is imported.
        code = "from pyproc_worker._codec import load_json\ntry: load_json(b'{')\nexcept ValueError as e: print(e)"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=harness.ROOT)
        self.assertIn("Expecting property name", found.stdout, found.stderr)


class ErrorsTest(unittest.TestCase):
    def test_long_texts_are_bounded(self):
        try:
            raise ValueError("x" * 10_000_000)
        except ValueError as error:
            error_payload = json.loads(_errors.exception_payload(error))
        self.assertLess(len(error_payload["message"]), 65536)
        self.assertLess(len(error_payload["traceback"]), 65536)
        self.assertIn("characters left out", error_payload["message"])

    def test_the_name_of_a_type_is_bounded_and_its_metaclass_is_not_trusted(self):
        class Hostile(type):
            def __getattribute__(cls, name):
                raise SystemExit(name)

        kinds = [type("N" * 10_000_000, (Exception,), {}), Hostile("Odd", (Exception,), {})]
        for kind, expected in zip(kinds, ("tests.test_codec." + "N" * 239, "Odd")):
            try:
                raise kind("m")
            except Exception as error:
                self.assertEqual(json.loads(_errors.exception_payload(error))["type"], expected)

    def test_a_deep_recursion_and_a_cycle_of_causes(self):
        def recurse():
            recurse()

        try:
            recurse()
        except RecursionError as error:
            error_payload = json.loads(_errors.exception_payload(error))
        self.assertEqual(error_payload["type"], "RecursionError")
        one, two = ValueError("one"), ValueError("two")
        one.__cause__, two.__cause__ = two, one
        self.assertIn("one", json.loads(_errors.exception_payload(one))["traceback"])

    def test_an_exception_has_its_base_classes_and_its_arguments_if_they_are_data(self):
        def payload(error):
            return json.loads(_errors.exception_payload(error))

        class Mixin:
            pass

        class Missing(Mixin, KeyError):
            pass

        own = "%s.%s" % (__name__, Mixin.__qualname__)
        bases = payload(Missing("ada"))["bases"]
        self.assertEqual(bases, [own, "KeyError", "LookupError", "Exception", "BaseException"])
        self.assertEqual(payload(ValueError())["bases"], ["Exception", "BaseException"])

        itself = []
        itself.append(itself)
        data = [(), ("a", 1, 2.5, None, True), ({"a": [1, {"b": "\u00e9"}]}, (1, 2)), ("\ud800",)]
        for args in data:
            with self.subTest(args=args):
                expected = json.loads(_codec.dump_text(list(args)))
                self.assertEqual(payload(ValueError(*args))["args"], expected)
        other = [{1}, b"x", float("nan"), 2**64, {1: 2}, itself, "x" * 20_000, [0] * 300, Missing("x"), [[]] * 200 + [itself]]
        for value in other:
            with self.subTest(value=repr(value)[:80]):
                self.assertNotIn("args", payload(ValueError("a", value)))

    def test_classes_whose_code_raises_still_have_a_payload(self):
        class Odd(Exception):
            @property
            def args(self):
                raise SystemExit("in args")

        class Several(type(Odd)):
            def mro(cls):
                return [cls, *super().mro()[1:]]

        class Odder(Exception, metaclass=Several):
            args = 5

        for kind in (Odd, Odder):
            found = json.loads(_errors.exception_payload(kind()))
            self.assertEqual((found["bases"], "args" in found), (["Exception", "BaseException"], False))


if __name__ == "__main__":
    unittest.main()
