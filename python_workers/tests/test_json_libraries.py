"""How the JSON libraries differ: each row of the tables in docs/json.md."""

import collections
import dataclasses
import datetime
import decimal
import enum
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import re
import sys
import tempfile
import typing
import unittest
import uuid

from pyproc_worker import _codec, _frames
from pyproc_worker._named_tuples import converted

from .harness import ROOT, Host, restore_codecs

LIBRARIES = ("stdlib", "orjson", "msgspec")
REFUSED = object()
UTC = datetime.timezone.utc
NOON = datetime.datetime(2024, 2, 29, 12, 30)
CIRCULAR = []
CIRCULAR.append(CIRCULAR)


class Color(enum.Enum):
    RED = "red"


class Point(typing.NamedTuple):
    x: int
    y: int = 2


@dataclasses.dataclass
class Item:
    name: str
    _hidden: int = 0


@dataclasses.dataclass
class Slots:
    __slots__ = ("n",)
    n: int


def unset():
    return Slots.__new__(Slots)


class Text(str):
    pass


class Number(int):
    pass


class Items(list):
    pass


class Object(dict):
    pass


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def numpy_values():
    import numpy

    return [numpy.arange(2), numpy.float32(0.5), numpy.int8(1), numpy.bool_(True), numpy.float64(2)]


def numpy_nan():
    import numpy

    return {"a": numpy.array([1.5, numpy.nan])}


def pydantic_model():
    import pydantic

    return pydantic.create_model("Model", a=(int, ...), when=(datetime.datetime, ...))(a=1, when=NOON)


def msgspec_struct():
    import msgspec

    return msgspec.defstruct("S", [("a", int), ("b", bytes)])(1, b"a")


def same(value):
    return (value, value, value)


# The title of each row; the payload; and what each library makes of it.
ARGUMENTS = [
    ("integer beyond 64 bits", b"123456789012345678901", (123456789012345678901, 1.2345678901234568e20, 123456789012345678901)),
    ("`1e400`", b"1e400", (math.inf, REFUSED, REFUSED)),
    ("`NaN`, `Infinity`", b"NaN", same(REFUSED)),
    ("`NaN`, `Infinity`", b"[-Infinity]", same(REFUSED)),
    ("lone surrogate", b'"\\ud800"', ("\ud800", REFUSED, REFUSED)),
    ("invalid UTF-8", b'"\xff"', same(REFUSED)),
    ("byte order mark", b"\xef\xbb\xbf1", same(REFUSED)),
    ("duplicate keys", b'{"a":1,"a":2}', same({"a": 2})),
    ("900 levels of nesting", b"[" * 900 + b"]" * 900, same(nested(900))),
    ("100,000 levels of nesting", b"[" * 100_000 + b"]" * 100_000, same(REFUSED)),
]

# The title of each row; the result, or a function that makes it with a library; and its payload.
RESULTS = [
    ("NaN or an infinity", [math.nan, math.inf], (REFUSED, "[null,null]", "[null,null]")),
    ("int beyond 64 bits", 2**64, ("18446744073709551616", REFUSED, "18446744073709551616")),
    ("float `1e16`", 1e16, ("1e+16", "1e16", "1e16")),
    ("str with a lone surrogate", "\ud800", same(REFUSED)),
    ("keys that are int, float, bool or None", {1: 1, 1.5: 2, None: 3, False: 4}, same('{"1":1,"1.5":2,"null":3,"false":4}')),
    (
        "keys that are Enum, UUID or date",
        {Color.RED: 1, uuid.UUID(int=1): 2, NOON.date(): 3},
        same('{"red":1,"00000000-0000-0000-0000-000000000001":2,"2024-02-29":3}'),
    ),
    ("tuple, set, frozenset, deque", [(1,), {2}, frozenset([3]), collections.deque([4])], same("[[1],[2],[3],[4]]")),
    ("dataclass", Item("a"), same('{"name":"a","_hidden":0}')),
    ("NamedTuple, defined by user code", [Point(1)], same('[{"x":1,"y":2}]')),
    ("Enum", Color.RED, same('"red"')),
    ("datetime without a zone, date, time", [NOON, NOON.date(), NOON.time()], same('["2024-02-29T12:30:00","2024-02-29","12:30:00"]')),
    (
        "datetime in UTC",
        NOON.replace(tzinfo=UTC),
        ('"2024-02-29T12:30:00+00:00"', '"2024-02-29T12:30:00+00:00"', '"2024-02-29T12:30:00Z"'),
    ),
    ("timedelta", datetime.timedelta(seconds=1.5), ("1.5", "1.5", '"PT1.5S"')),
    (
        "UUID, Decimal, Path",
        [uuid.UUID(int=1), decimal.Decimal("1.50"), pathlib.Path("/a")],
        same('["00000000-0000-0000-0000-000000000001","1.50","/a"]'),
    ),
    ("bytes as the whole result", b"ab", same("ab")),
    ("bytes inside of a result", [b"ab", bytearray(b"ab")], same('["YWI=","YWI="]')),
    ("subclasses of str, int, list and dict", Object(a=Items([Text("b"), Number(1)])), same('{"a":["b",1]}')),
    ("300 levels of nesting", nested(300), ("[" * 300 + "]" * 300, REFUSED, "[" * 300 + "]" * 300)),
    ("list that contains itself", CIRCULAR, same(REFUSED)),
    ("numpy array and scalar", numpy_values, same("[[0,1],0.5,1,true,2.0]")),
    ("NaN in a numpy array", numpy_nan, (REFUSED, '{"a":[1.5,null]}', '{"a":[1.5,null]}')),
    ("pydantic model", pydantic_model, same('{"a":1,"when":"2024-02-29T12:30:00"}')),
    ("msgspec Struct", msgspec_struct, same('{"a":1,"b":"YQ=="}')),
    ("dataclass with `slots`, a field of which has no value", unset, (REFUSED, REFUSED, "{}")),
    ("key that is NaN", {math.nan: 1}, (REFUSED, REFUSED, '{"nan":1}')),
]


def made(value):
    """Return the result of a row, or skip the row without its library."""
    try:
        return value() if callable(value) else value
    except ImportError as error:
        raise unittest.SkipTest(str(error)) from None


def _has_orjson():
    # Earlier versions nest without a limit.
    try:
        return tuple(map(int, importlib.metadata.version("orjson").split(".")[:2])) >= (3, 9)
    except importlib.metadata.PackageNotFoundError:
        return False


class Differences:
    """Every row with one library."""

    LIBRARY = "stdlib"

    def setUp(self):
        restore_codecs(self)
        if self.LIBRARY != "stdlib":
            _codec.use_library(self.LIBRARY)

    def test_arguments(self):
        for title, payload, expected in ARGUMENTS:
            wanted = expected[LIBRARIES.index(self.LIBRARY)]
            with self.subTest(title):
                if wanted is REFUSED:
                    with self.assertRaises(Exception):
                        _codec.decode(_frames.CODEC_JSON, payload)
                else:
                    value = _codec.decode(_frames.CODEC_JSON, payload)
                    self.assertEqual((type(value), value), (type(wanted), wanted))

    def test_results(self):
        for title, value, expected in RESULTS:
            wanted = expected[LIBRARIES.index(self.LIBRARY)]
            with self.subTest(title):
                # As the function is called.
                value = converted(lambda _: made(value), False, ())(None)
                if wanted is REFUSED:
                    with self.assertRaises(_codec.Refused):
                        _codec.encode(_frames.CODEC_JSON, value)
                else:
                    codec, payload = _codec.encode(_frames.CODEC_JSON, value)
                    self.assertEqual(payload.decode(), wanted)
                    self.assertEqual(codec, _frames.CODEC_BYTES if value == b"ab" else _frames.CODEC_JSON)

    def test_a_worker_uses_it(self):
        script = """
            from pyproc_worker import expose

            @expose
            def f(argument):
                return [argument, 1e16, b"" if argument == [] else None]
            """
        # In the fast path, after a refusal, and with metadata.
        expected = "1e+16" if self.LIBRARY == "stdlib" else "1e16"
        with Host(script, json=self.LIBRARY) as host:
            answers = [host.call("f", 1), host.call("f", []), host.call("f", 1, metadata={"a": "b"})]
            self.assertEqual([json.loads(answer.payload)[2] for answer in answers], [None, "", None])
            for answer in answers:
                self.assertIn(expected, answer.payload.decode())


class StandardLibraryTest(Differences, unittest.TestCase):
    pass


@unittest.skipUnless(_has_orjson(), "orjson 3.9 or later is not installed")
class OrjsonTest(Differences, unittest.TestCase):
    LIBRARY = "orjson"


@unittest.skipIf(importlib.util.find_spec("msgspec") is None, "msgspec is not installed")
class MsgspecTest(Differences, unittest.TestCase):
    LIBRARY = "msgspec"


class PageTest(unittest.TestCase):
    def test_each_row_of_the_page_is_a_row_here(self):
        page = os.path.join(os.path.dirname(ROOT), "docs", "json.md")
        if not os.path.exists(page):
            self.skipTest("the source distribution has no pages")
        with open(page, encoding="utf-8") as file:
            tables = re.split(r"^\| (argument|result) \|.*\n", file.read(), flags=re.MULTILINE)[1:]
        for name, text, rows in zip(tables[::2], tables[1::2], (ARGUMENTS, RESULTS)):
            titles = re.findall(r"^\| ([^|]+) \|(?! ---)", text, re.MULTILINE)
            titles = [title for title in titles if title != "---"]
            self.assertEqual(titles, list(dict.fromkeys(title for title, _, _ in rows)), name)


class MissingTest(unittest.TestCase):
    def test_a_worker_without_the_library_says_what_to_install(self):
        script = "from pyproc_worker import expose\n@expose\ndef f(x): return x\n"
        for library in ("orjson", "msgspec"):
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, library + ".py"), "w") as file:
                    file.write("raise ModuleNotFoundError(\"No module named '%s'\")" % library)
                with Host(script, json=library, env={"PYTHONPATH": directory}) as host:
                    message = host.failed()["message"]
            self.assertIn('failed to import %s, which json = "%s" requires: No module' % (library, library), message)
            self.assertIn("install it with `%s -m pip install %s`" % (sys.executable, library), message)


if __name__ == "__main__":
    unittest.main()
