"""The meaning of annotations: what front_door.json and functions.json do not have."""

import collections
import dataclasses
import datetime
import enum
import json
import random
import sys
import types
import typing
import unittest
import warnings

from pyproc_worker import _describe
from pyproc_worker._bind import bind
from pyproc_worker._checked import ANY, Invalid, Type
from pyproc_worker._convert import INT, NULL, STR, mapping, union
from pyproc_worker._default import NO_DEFAULT, json_default

from .harness import repository

with open(repository("tests/vectors/functions.json"), encoding="utf-8") as _file:
    SCHEMAS = json.load(_file)["schemas"]


def read(annotation, scope=None, result=False):
    """Return the type of an annotation, its problems, and the definitions."""
    annotations = _describe.Annotations()
    found, problems = annotations.read(annotation, scope or {}, result)
    return found, problems, annotations.definitions


def module_of(source, name="declared_here"):
    """Return a module with this source, which annotations in text can refer to."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(source, module.__dict__)
    return module


class Reading(unittest.TestCase):
    def convert(self, annotation, value, scope=None):
        return read(annotation, scope)[0].convert(value)

    def rejects(self, annotation, value, *expected, scope=None):
        with self.assertRaises(Invalid) as caught:
            self.convert(annotation, value, scope)
        found = caught.exception.errors
        self.assertEqual([path for path, _, _ in found], [path for path, _ in expected], found)
        for (_, message, _), (_, text) in zip(found, expected):
            self.assertIn(text, message)


class SchemasTest(Reading):
    def test_golden_annotations_have_their_schemas_as_text_and_as_objects(self):
        scope = {**vars(typing), "collections": collections}
        for name in ("datetime", "uuid", "decimal", "pathlib"):
            scope[name] = __import__(name)
        for golden in SCHEMAS:
            text = golden["annotation"]
            with self.subTest(text):
                self.assertEqual(read(text, scope)[0].schema, golden["schema"])
                try:
                    annotation = eval(text, dict(scope))
                except Exception:
                    # It is not an annotation, or not one of this version of Python.
                    continue
                if text not in ("Optional", "Literal", "3"):
                    self.assertEqual(read(annotation)[0].schema, golden["schema"])

    def test_names_that_nothing_defines_are_of_any_value_and_warned_of(self):
        for text, name in [("List[int]", "List"), ("typing.Text", "Text"), ("Number", "Number"), ("Odd", "Odd")]:
            found, problems, _ = read(text)
            self.assertEqual((found.schema, found.convert, list(problems)), ({"x-python-type": name}, None, [(name, "")]))
        self.assertEqual(read("list[int]")[0].schema, {"type": "array", "items": {"type": "integer"}})

    def test_unions_say_the_reason_and_keep_the_value(self):
        def change(value):
            value["changed"] = True
            raise Invalid([("", "no", "value")])

        first = Type("a model", ("object",), {"title": "Model"}, change)
        sent = {"a": {"b": 1}}
        self.assertEqual(union([first, mapping(ANY, ANY), NULL]).convert(sent), {"a": {"b": 1}})
        self.assertEqual(sent, {"a": {"b": 1}})
        Both = typing.Union[typing.List[int], str]
        self.rejects(Both, [1, "x"], ("[1]", "an int"))
        self.rejects(typing.Optional[typing.Set[typing.List[int]]], [[1]], ("", "can be in a set"))
        nested = union([union([INT, NULL]), STR, NULL])
        self.assertEqual(nested.expected, "an int, a str or None")

    def test_classes_of_the_script_are_not_those_of_the_standard_library(self):
        class List:
            pass

        T = typing.TypeVar("T")

        class Box(typing.Generic[T]):
            pass

        here = __name__ + "." + List.__qualname__.rpartition(".")[0]
        odd = {"x-python-type": here + ".List"}
        box = {"x-python-type": here + ".Box"}
        number = {"type": "integer"}
        rows = [
            (List, odd),
            (Box[int], box),
            (typing.List[List], {"type": "array", "items": odd}),
            (T, {}),
            (typing.TypeVar("B", bound=int), number),
            (typing.AnyStr, {"anyOf": [{"type": "string", "contentEncoding": "base64"}, {"type": "string"}]}),
            (typing.NewType("Id", int), number),
            (42, {}),
        ]
        for annotation, expected in rows:
            with self.subTest(annotation):
                found = read(annotation)[0].schema
                self.assertEqual(found if "anyOf" not in found else {"anyOf": sorted(found["anyOf"], key=len, reverse=True)}, expected)
        self.assertEqual(read("List", {"List": List})[0].schema, odd)
        self.assertEqual(read("Box[int]", {"Box": Box})[0].schema, box)

    def test_names_in_text_are_looked_up_and_never_run(self):
        class Module:
            def __getattr__(self, name):
                raise AssertionError("code of the script ran")

        scope = {"Vector": typing.List[float], "t": typing, "lazy": Module(), "Alias": "list[int]"}
        vector = {"type": "array", "items": {"type": "number"}}
        rows = [
            ("Vector", vector),
            ("t.Optional[Vector]", {"anyOf": [vector, {"type": "null"}]}),
            ("t.Optional[t.Dict[str, Vector]]", {"anyOf": [{"type": "object", "additionalProperties": vector}, {"type": "null"}]}),
            ("Alias", {"type": "array", "items": {"type": "integer"}}),
            ("lazy.Array", {"x-python-type": "Array"}),
            ("Vector[int]", {}),
        ]
        for annotation, expected in rows:
            with self.subTest(annotation):
                self.assertEqual(read(annotation, scope)[0].schema, expected)

    def test_any_text_is_survived(self):
        generator = random.Random(5)
        for text in ("list[" * 10_000, "'" * 9_999, "a | " * 9_000 + "b", "x" * 100_000, "\0", "(" * 5_000):
            json.dumps(read(text)[0].schema)
        pieces = ["list", "Literal", "[", "]", ",", "|", "'", "\\", "-", "1", " ", ".", "...", "é", "None", "lambda:0"]
        with warnings.catch_warnings():
            # Python warns of odd escape sequences.
            warnings.simplefilter("ignore")
            for _ in range(2000):
                text = "".join(generator.choices(pieces, k=generator.randrange(12)))
                json.dumps(read(text)[0].schema)

    def test_an_alias_that_contains_itself_is_a_definition(self):
        scope = {}
        scope["Tree"] = typing.Union[typing.Dict[str, "Tree"], typing.List["Tree"], int]  # noqa: F821
        for annotation in ("Tree", scope["Tree"], "list[Tree]"):
            found, problems, definitions = read(annotation, scope)
            self.assertEqual(problems, [])
            self.assertEqual(list(definitions), ["Tree"])
            value = [{"a": [1, {"b": 2}]}]
            self.assertEqual(found.convert(value), value)
            with self.assertRaises(Invalid):
                found.convert([{"a": ["x"]}])
        loop = type("Loop", (), {})()
        loop.__origin__, loop.__args__ = list, (loop,)
        # The host rejects JSON that is nested deeper than 128 levels.
        self.assertLess(json.dumps(read(loop)[0].schema).count("array"), 40)

    def test_names_of_definitions_are_unique(self):
        first = module_of("import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int", "first_of_two")
        second = module_of("import dataclasses\n@dataclasses.dataclass\nclass Point:\n    y: int", "second_of_two")
        annotations = _describe.Annotations()
        pair = annotations.read(typing.Tuple[first.Point, second.Point, first.Point], {})[0]
        self.assertEqual([one["$ref"].rpartition("/")[2] for one in pair.schema["prefixItems"]], ["Point", "Point_2", "Point"])
        self.assertEqual([list(one["properties"]) for one in annotations.definitions.values()], [["x"], ["y"]])


class ValuesTest(Reading):
    def test_values_that_only_messagepack_has(self):
        now = datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)
        self.assertIs(self.convert(datetime.datetime, now), now)
        self.rejects(datetime.date, now, ("", "a date in ISO 8601, not a datetime"))
        for made in (bytes, bytearray, memoryview):
            self.assertEqual(self.convert(made, b"ab"), made(b"ab"))
            self.assertIs(type(self.convert(made, b"ab")), made)
        self.assertEqual(self.convert(typing.Dict[int, int], {1: 2}), {1: 2})
        self.rejects(typing.Dict[str, int], {1: 2}, ("[1]", "key: expected a str, not an int"))
        self.rejects(typing.Set[typing.Any], [[1]], ("", "unhashable"))

    def test_base64(self):
        for sent, value in [("", b""), ("AA==", b"\0"), ("AAE=", b"\0\1"), ("AAEC", b"\0\1\2")]:
            self.assertEqual(self.convert(bytes, sent), value)
        for sent in ("A", "AA", "AA=", "AA==AA==", "A A=", "AAE*", "é", "AAEC\n", "===="):
            self.rejects(bytes, sent, ("", "base64"))

    def test_keys_that_are_numbers_are_what_json_writes_for_them(self):
        for annotation, good in (
            (typing.Dict[int, str], {"1": 1, "-2": -2, "0": 0}),
            (typing.Dict[float, str], {"1.5": 1.5, "2": 2, "1e+21": 1e21, "-0.0": 0.0}),
        ):
            found = self.convert(annotation, {key: "a" for key in good})
            self.assertEqual(list(found), list(good.values()))
        for annotation, key in (
            *((typing.Dict[int, str], key) for key in ("01", " 1", "1_0", "+1", "1.0", "-0", "\u0661", "1e400")),
            *((typing.Dict[float, str], key) for key in ("nan", "inf", "1_0.5", ".5", "01.5", "1e400", "NaN", "")),
        ):
            with self.subTest(key=key):
                self.rejects(annotation, {key: "a"}, ("." + key if key.isidentifier() else "[%r]" % key, "key: expected"))
        self.rejects(typing.Dict[float, str], {"1.0": "a", "1": "b"}, ("['1']", "given twice"))
        self.rejects(typing.Dict[int, str], {1: "a", "1": "b"}, ("['1']", "given twice"))

    def test_long_keys_of_a_client_are_cut_in_paths(self):
        self.rejects(typing.Dict[str, int], {"k" * 100: "x"}, ("['" + "k" * 36 + "...]", "expected an int"))

    def test_times(self):
        for sent, iso in [
            ("2024-01-02 03:04:05", "2024-01-02T03:04:05"),
            ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456+00:00"),
            ("2024-01-02T03:04:05.1", "2024-01-02T03:04:05.100000"),
            ("2024-01-02", "2024-01-02T00:00:00"),
        ]:
            self.assertEqual(self.convert(datetime.datetime, sent).isoformat(), iso)
        for sent in ("2024-01-02T25:00:00", "", "Z", "20240102T030405X"):
            self.rejects(datetime.datetime, sent, ("", "ISO 8601"))
        for sent in ("20240102", "2024-W01-1", "2024-01-02Z"):
            self.rejects(datetime.date, sent, ("", "ISO 8601"))
        self.rejects(datetime.timedelta, 1e300, ("", "seconds that a timedelta can have"))
        self.rejects(datetime.timedelta, float("nan"), ("", "seconds that a timedelta can have"))

    def test_containers_are_of_the_class_of_the_annotation(self):
        for annotation, sent, value in [
            (typing.Deque[int], [1], collections.deque([1])),
            (typing.OrderedDict[str, int], {"a": 1}, collections.OrderedDict(a=1)),
            (typing.FrozenSet[str], ["a"], frozenset("a")),
            (typing.Tuple[()], [], ()),
            (typing.Iterable[int], [1], [1]),
            (typing.Mapping[str, typing.List[datetime.date]], {"a": ["2024-01-02"]}, {"a": [datetime.date(2024, 1, 2)]}),
        ]:
            found = self.convert(annotation, sent)
            self.assertEqual((type(found), found), (type(value), value))
        self.assertEqual(self.convert(typing.DefaultDict[str, int], {"a": 1}), {"a": 1})

    def test_a_value_that_fits_is_not_copied(self):
        for annotation, value in [
            (typing.List[float], [1.0, 2]),
            (typing.Dict[str, typing.List[int]], {"a": []}),
            (typing.List[typing.Any], [1]),
            (typing.Optional[typing.List[str]], ["a"]),
        ]:
            if annotation == typing.Dict[str, typing.List[int]]:
                self.assertEqual(self.convert(annotation, value), value)
            else:
                self.assertIs(self.convert(annotation, value), value)

    def test_the_errors_of_a_union_are_those_of_the_only_likely_alternative(self):
        @dataclasses.dataclass
        class Point:
            x: int

        either = typing.Union[int, Point, typing.List[int], None]
        self.rejects(either, {"x": "a"}, (".x", "an int, not a str"))
        self.rejects(either, ["a"], ("[0]", "an int, not a str"))
        self.rejects(either, "a", ("", "expected an int, a Point, a list or None, not a str"))

    def test_defaults_that_json_can_express(self):
        Colour = enum.Enum("Colour", "RED")

        class Odd(datetime.date):
            def isoformat(self):
                raise RuntimeError

        for default, stated in [
            (None, None),
            ((1, "a"), [1, "a"]),
            ({"a": [True]}, {"a": [True]}),
            (Colour.RED, 1),
            (datetime.date(2024, 1, 2), "2024-01-02"),
            (datetime.timedelta(minutes=1), 60.0),
        ]:
            self.assertEqual(json_default(default), stated)
        loop = []
        loop.append(loop)
        for default in (float("nan"), 2**63, object(), {1: 2}, [object()], b"a", Odd(2024, 1, 2), loop, {"a": {1}}):
            self.assertIs(json_default(default), NO_DEFAULT)


class WarningsTest(unittest.TestCase):
    def warnings(self, function):
        signature = _describe.read_signature(function)
        return _describe.describe("f", function, signature, bind(function, signature))["warnings"]

    def test_what_does_not_work_as_its_annotation_suggests(self):
        class Model:
            pass

        class Table(dict):
            pass

        def generator() -> typing.Iterator[int]: ...
        def coroutine() -> "Awaitable[int]": ...  # noqa: F821
        def number() -> complex: ...
        def model(a: Model, b: typing.Optional[Model] = None) -> typing.List[Model]: ...
        def good(a: typing.List[int], b: "dict[str, int] | None") -> Table: ...
        def broken(a: "list["): ...  # noqa: F722
        def rest(*args): ...

        def yields(a):
            yield a

        async def yields_later(a):
            yield a


        name = __name__ + "." + Model.__qualname__
        for function, expected in [
            (generator, ["the result (Iterator) cannot be sent; return a list"]),
            (coroutine, ["the result (Awaitable) cannot be sent; declare the function itself with `async def`"]),
            (number, ["the result (complex) cannot be sent"]),
            (
                model,
                [
                    "the parameter `a` (%s) is passed as it is: it is not checked" % name,
                    "the parameter `b` (%s) is passed as it is: it is not checked" % name,
                    "the result (%s) cannot be sent" % name,
                ],
            ),
            (good, []),
            (rest, ['no argument reaches *args; @expose(args="whole") passes one']),
            (yields, ["the result (a generator) cannot be sent; return a list"]),
            (yields_later, ["the result (a generator) cannot be sent; return a list"]),
        ]:
            self.assertEqual(self.warnings(function), expected)
        self.assertRegex(self.warnings(broken)[0], r"^the annotation of `a` \(list\[\) is not fully checked: SyntaxError")

    def test_in_fields_of_classes_too(self):
        class Model:
            pass

        @dataclasses.dataclass
        class Holder:
            model: Model

        def function(a: Holder, b: typing.List[Holder]): ...

        self.assertEqual([text.partition(" is passed")[0][:18] for text in self.warnings(function)], ["the parameter `a` ", "the parameter `b` "])


if __name__ == "__main__":
    unittest.main()
