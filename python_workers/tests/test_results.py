"""Results by type: what each becomes in JSON and in MessagePack, and what is refused, with its path."""

import collections
import dataclasses
import datetime
import decimal
import enum
import importlib.util
import json
import math
import pathlib
import sys
import typing
import unittest
import uuid
from unittest import mock

from pyproc_worker import _codec, _frames, _msgpack
from pyproc_worker._named_tuples import converted

from .harness import Host, restore_codecs

UTC = datetime.timezone.utc
NOON = datetime.datetime(2024, 2, 29, 12, 30)


class Color(enum.Enum):
    RED = "red"
    PAIR = (1, NOON)


class Named(str, enum.Enum):
    ONE = "one"


class Level(enum.IntEnum):
    HIGH = 3


class Point(typing.NamedTuple):
    x: int
    when: datetime.date = datetime.date(2024, 1, 2)


@dataclasses.dataclass
class Item:
    name: str
    _price: decimal.Decimal
    tags: set = dataclasses.field(default_factory=set, repr=False)
    kind: typing.ClassVar[str] = "item"


class Text(str):
    pass


class Number(int):
    pass


# Each value, what it is in JSON, and what it is in MessagePack if that differs.
ROWS = [
    (Item("a", decimal.Decimal("1.50"), {7}), {"name": "a", "_price": "1.50", "tags": [7]}),
    ([Color.RED, Color.PAIR, Named.ONE, Level.HIGH], ["red", [1, "2024-02-29T12:30:00"], "one", 3]),
    (NOON, "2024-02-29T12:30:00"),
    (NOON.replace(tzinfo=UTC, microsecond=5), "2024-02-29T12:30:00.000005+00:00"),
    (NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-3))), "2024-02-29T12:30:00-03:00"),
    ([NOON.date(), NOON.time()], ["2024-02-29", "12:30:00"]),
    (datetime.timedelta(days=1, milliseconds=2500), 86402.5),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ([decimal.Decimal("1e400"), pathlib.Path("/a") / "b", pathlib.PureWindowsPath("c")], ["1E+400", "/a/b", "c"]),
    ([{1}, frozenset([2]), (3, (NOON,)), collections.deque([4])], [[1], [2], [3, ["2024-02-29T12:30:00"]], [4]]),
    ({"a": b"\xff\x00"}, {"a": "/wA="}, {"a": b"\xff\x00"}),
    ([bytearray(b"a"), memoryview(b"bc"), {1}], ["YQ==", "YmM=", [1]], [b"a", b"bc", [1]]),
    (collections.OrderedDict(a=collections.Counter("aa")), {"a": {"a": 2}}),
    ({Text("t"): [Text("u"), Number(4)], "b": {1}}, {"t": ["u", 4], "b": [1]}),
    (
        {Color.RED: 1, Named.ONE: 2, uuid.UUID(int=1): 3, NOON: 4, NOON.date(): 5, pathlib.Path("/p"): 6},
        {
            "red": 1,
            "one": 2,
            "00000000-0000-0000-0000-000000000001": 3,
            "2024-02-29T12:30:00": 4,
            "2024-02-29": 5,
            "/p": 6,
        },
    ),
    (
        {Color.RED: 1, 2: 2, True: 3, None: 4, 1.5: 5, Level.HIGH: 6},
        {"red": 1, "2": 2, "true": 3, "null": 4, "1.5": 5, "3": 6},
        {"red": 1, 2: 2, True: 3, None: 4, 1.5: 5, 3: 6},
    ),
]

# Each value, and a part of the message in JSON.
REFUSED = [
    ({"a": [1, {NOON: object()}]}, "result['a'][1][datetime.datetime(2024, 2, 29, 12, 30)] is of type object"),
    (Item("a", decimal.Decimal(1), {1j}), "result.tags[0] is of type complex, which cannot be encoded as JSON"),
    ([NOON, math.nan], "result[1] is nan, which cannot be encoded as JSON"),
    ({"a": {1, math.inf}}, "is inf, which"),
    ({(1, 2): 3}, "result has a key of type tuple"),
    ({b"k": 3}, "result has a key of type bytes"),
    ({"a": {math.nan: 1, NOON: 2}}, "result['a'] has a key that is nan"),
    ({"a": [{1: 2, "1": NOON}]}, "result['a'][0] has two keys that are the same as text: '1', which"),
    ({"a": [Text("\ud800"), NOON]}, "result['a'][0] is a str with a lone surrogate"),
    (Item, "result is of type type"),
    ({"a": [].__iter__()}, "result['a'] is of type list_iterator"),
    ((x for x in ()), "the function returned a generator"),
    ({1: {"gen": (x for x in ())}}, "result[1]['gen'] is of type generator"),
]


def encode(value, codec=_frames.CODEC_JSON):
    codec, payload = _codec.encode(codec, value)
    return json.loads(payload) if codec == _frames.CODEC_JSON else _msgpack.unpack(payload)


class Results(unittest.TestCase):
    def setUp(self):
        restore_codecs(self)

    def check(self, rows):
        for value, in_json, *in_msgpack in rows:
            with self.subTest(value=repr(value)[:60]):
                self.assertEqual(encode(value), in_json)
                self.assertEqual(encode(value, _frames.CODEC_MSGPACK), in_msgpack[0] if in_msgpack else in_json)

    def refused(self, value, codec=_frames.CODEC_JSON):
        with self.assertRaises(_codec.Refused) as caught:
            _codec.encode(codec, value)
        return caught.exception.message


class StandardTypesTest(Results):
    def test_each_type_becomes_data(self):
        self.check(ROWS)

    def test_what_cannot_be_sent_is_named_with_its_path(self):
        for value, part in REFUSED:
            with self.subTest(part):
                self.assertIn(part, self.refused(value))

    def test_a_result_that_the_encoder_knows_is_not_converted(self):
        with mock.patch.dict(sys.modules, {"pyproc_worker._results": None}):
            for codec in (_frames.CODEC_JSON, _frames.CODEC_MSGPACK):
                self.assertEqual(encode({"a": [1, 2.5, "b", None, True, (1,)]}, codec), {"a": [1, 2.5, "b", None, True, [1]]})

    def test_msgpack_holds_nan_and_names_what_it_does_not_hold(self):
        self.assertTrue(math.isnan(encode([NOON, math.nan], _frames.CODEC_MSGPACK)[1]))
        self.assertIn("result[0] is an int beyond 64 bits", self.refused([2**64, NOON], _frames.CODEC_MSGPACK))
        self.assertIn("result[1] is of type object", self.refused([NOON, object()], _frames.CODEC_MSGPACK))

    def test_a_value_of_user_code_may_do_what_it_likes(self):
        class Odd:
            __dataclass_fields__ = None

        class Exits(dict):
            def items(self):
                raise SystemExit("in items")

        self.assertIn("result (", self.refused([Odd(), NOON]))
        self.assertIn("result (", self.refused([Exits(a=1), NOON]))

    def test_a_value_that_contains_itself_is_refused_whatever_the_recursion_limit(self):
        circular = [NOON]
        circular.append({"a": circular})
        before = sys.getrecursionlimit()
        for limit in (before, 1_000_000):
            sys.setrecursionlimit(limit)
            try:
                message = self.refused(circular)
            finally:
                sys.setrecursionlimit(before)
            self.assertIn("contains itself", message)

    def test_a_library_that_is_not_imported_is_not_looked_for(self):
        with mock.patch.dict(sys.modules):
            for name in ("numpy", "pandas", "pydantic", "msgspec"):
                sys.modules.pop(name, None)
            self.assertEqual(encode([NOON, {1}]), ["2024-02-29T12:30:00", [1]])
            self.assertNotIn("numpy", sys.modules)


class NamedTupleTest(Results):
    ROWS = [
        (Point(1), {"x": 1, "when": "2024-01-02"}),
        ([{"a": (Point(1, None),)}], [{"a": [{"x": 1, "when": None}]}]),
        ({"a": (1, 2), "b": [3, [4]]}, {"a": [1, 2], "b": [3, [4]]}),
        (sys.float_info[:2], [sys.float_info[0], sys.float_info[1]]),
        ([{Point(2, None)}], [[{"x": 2, "when": None}]]),
    ]

    def test_it_is_an_object_if_user_code_defines_it(self):
        self.check([(converted(lambda _: value, False, ())(None), data) for value, data in self.ROWS])
        # What has none is not copied.
        for value in ({"a": [1, (2, "b")], "c": {}}, [[1.5] * 10], "text"):
            self.assertIs(converted(lambda _: value, False, ())(None), value)

    def test_that_of_a_library_is_an_array_whatever_else_the_result_has(self):
        urllib_fields()
        parts = sys.modules["urllib.parse"].ParseResult(*"abcdef")
        for value in (parts, [parts, NOON], [Point(1, None), parts, {parts}]):
            sent = encode(converted(lambda _: value, False, ())(None))
            self.assertIn(list("abcdef"), [sent, *sent])
        self.assertEqual(sent, [{"x": 1, "when": None}, list("abcdef"), [list("abcdef")]])

    def test_an_async_function_and_a_circular_result(self):
        async def function(n):
            return [Point(n, None)]

        with self.assertRaises(StopIteration) as ended:
            converted(function, True, ())(1).send(None)
        self.assertEqual(ended.exception.value, [{"x": 1, "when": None}])
        circular = []
        circular.append(circular)
        self.assertIs(converted(lambda _: circular, False, ())(None), circular)

    def test_a_worker_converts_those_that_its_functions_may_return(self):
        script = """
            import collections, urllib.parse
            from pyproc_worker import expose
            %s
            @expose
            def f(codec):
                return %s
        """
        for defined, returned, expected in [
            ("P = collections.namedtuple('P', 'a b')", "P(1, [P(2, 3)])", {"a": 1, "b": [{"a": 2, "b": 3}]}),
            (
                "P = collections.namedtuple('P', 'a')",
                "[P(1), urllib.parse.urlparse('a://b')]",
                [{"a": 1}, ["a", "b", "", "", "", ""]],
            ),
            ("class P(urllib.parse.ParseResult): pass", "P(*'abcdef')", dict(zip(urllib_fields(), "abcdef"))),
            ("", "urllib.parse.urlparse('a://b')", ["a", "b", "", "", "", ""]),
        ]:
            with self.subTest(returned), Host(script % (defined, returned)) as host:
                self.assertEqual(host.call("f").value, expected)
                self.assertEqual(_msgpack.unpack(host.call("f", b"\xc0", codec=2).value), expected)


    def test_that_of_a_library_is_an_object_for_the_function_whose_annotation_names_it(self):
        script = """
            import urllib.parse
            from typing import List, Optional
            from pyproc_worker import expose

            @expose
            def named(url) -> Optional[List[urllib.parse.ParseResult]]:
                return [urllib.parse.urlparse(url)]

            @expose
            async def later(url) -> "urllib.parse.ParseResult":
                return urllib.parse.urlparse(url)

            @expose
            def other(url):
                return urllib.parse.urlparse(url)
        """
        parts = ["a", "b", "", "", "", ""]
        record = dict(zip(urllib_fields(), parts))
        with Host(script) as host:
            self.assertEqual(host.call("named", "a://b").value, [record])
            self.assertEqual(host.call("later", "a://b").value, record)
            self.assertEqual(host.call("other", "a://b").value, parts)


def urllib_fields():
    import urllib.parse

    return urllib.parse.ParseResult._fields


def needs(*libraries):
    """Skip a test where a library is not installed."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    return unittest.skipIf(missing, "not installed: %s" % ", ".join(missing))


class LibraryTypesTest(Results):
    @needs("numpy")
    def test_numpy(self):
        import numpy as np

        nat = np.datetime64("NaT")
        self.check(
            [
                (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
                (np.array(2.5), 2.5),
                ([np.int8(3), np.float32(0.5), np.float64(2), np.bool_(True), np.uint64(2**64 - 1)], [3, 0.5, 2.0, True, 2**64 - 1]),
                ([np.longdouble(1.5), np.array([1.5], "g")], [1.5, [1.5]]),
                ([np.str_("a"), np.array(["b", "c"]), np.array([True])], ["a", ["b", "c"], [True]]),
                (np.array([NOON, {"a": {1}}], dtype=object), ["2024-02-29T12:30:00", {"a": [1]}]),
                ([np.array(["2024-01-02", "NaT"], "M8[D]"), np.datetime64("2024-01-02T03:04", "m"), nat], [["2024-01-02", None], "2024-01-02T03:04", None]),
                ([np.array([1500, "NaT"], "m8[ms]"), np.timedelta64(2, "s")], [[1.5, None], 2.0]),
                ({np.int64(1): np.int64(2), np.float64(1.5): {3}}, {"1": 2, "1.5": [3]}, {1: 2, 1.5: [3]}),
                ({"a": np.array([b"x"])}, {"a": ["eA=="]}, {"a": [b"x"]}),
            ]
        )
        data = np.ones((3, 70_000))
        data[2, 69_999] = np.nan
        self.assertIn("result['a'][2][69999] is nan, which", self.refused({"a": data}))
        self.assertIn("result[0] is nan", self.refused([np.float32("nan")]))
        self.assertIn("result is a numpy array of dtype complex128", self.refused(np.array([1j])))
        self.assertIn("result[0] is of type numpy.complex128", self.refused([np.complex128(1j)]))

    @needs("pandas")
    def test_pandas(self):
        import pandas as pd

        stamp = pd.Timestamp("2024-01-02T03:04:05.000000006", tz="UTC")
        self.check(
            [
                ([stamp, pd.NaT, pd.NA, pd.Timedelta("1.5s")], ["2024-01-02T03:04:05.000000006+00:00", None, None, 1.5]),
                (
                    pd.DataFrame({"a": [1, 2], "t": [pd.Timestamp("2024-01-02"), None]}).to_dict("records"),
                    [{"a": 1, "t": "2024-01-02T00:00:00"}, {"a": 2, "t": None}],
                ),
            ]
        )
        frame = pd.DataFrame({"a": [1.5, None]})
        for value, part in [
            (frame, 'result is of type pandas.DataFrame, which cannot be encoded as JSON; return .to_dict("records") of it'),
            ({"s": frame["a"]}, "result['s'] is of type pandas.Series, which cannot be encoded as JSON; return .to_list() or .to_dict()"),
            (frame.index, "return .tolist() of it"),
            (frame.to_dict("records"), "result[1]['a'] is nan"),
        ]:
            self.assertIn(part, self.refused(value))

    @needs("pydantic")
    def test_pydantic(self):
        import pydantic

        class Model(pydantic.BaseModel):
            when: datetime.datetime
            price: decimal.Decimal
            inner: typing.Optional["Model"] = None
            extra: typing.Any = None

        model = Model(when=NOON.replace(tzinfo=UTC), price="1.50", inner=Model(when=NOON, price=2))
        inner = {"when": "2024-02-29T12:30:00", "price": "2", "inner": None, "extra": None}
        expected = {"when": "2024-02-29T12:30:00Z", "price": "1.50", "inner": inner, "extra": None}
        self.check([(model, expected), ({"list": [model]}, {"list": [expected]})])
        message = self.refused({"m": [Model(when=NOON, price=1, extra=object())]})
        self.assertIn("result['m'][0] is of type ", message)
        self.assertIn("model_dump raised PydanticSerializationError: Unable to serialize unknown type", message)

    @needs("msgspec")
    def test_msgspec(self):
        import msgspec

        class Struct(msgspec.Struct):
            when: datetime.datetime
            data: bytes
            keys: dict
            extra: typing.Any = None

        struct = Struct(NOON, b"a", {1: 2}, Point(1))
        expected = {"when": "2024-02-29T12:30:00", "data": "YQ==", "keys": {"1": 2}, "extra": [1, "2024-01-02"]}
        self.check([([struct], [expected], [{**expected, "data": b"a", "keys": {1: 2}}])])
        self.assertIn("result[0] is of type object", self.refused([Struct(NOON, b"", {}, object())]))


if __name__ == "__main__":
    unittest.main()
