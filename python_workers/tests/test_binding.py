"""How an argument reaches the parameters, what Ready states, and what `expose` accepts."""

import collections.abc
import functools
import json
import os
import random
import typing
import unittest
import warnings

from pyproc_worker import _describe, _registry, expose
from pyproc_worker._bind import bind, binding_of
from pyproc_worker._types import type_of

from .harness import ROOT

with open(os.path.join(os.path.dirname(ROOT), "tests", "vectors", "functions.json")) as _file:
    VECTORS = json.load(_file)


def bound(function):
    return bind(function, _describe.read_signature(function))


class BindTest(unittest.TestCase):
    def check(self, function, *cases):
        call = bound(function)
        for argument, expected in cases:
            with self.subTest(argument=argument):
                self.assertEqual(call(argument), expected)

    def test_one_parameter_takes_the_argument_as_it_is(self):
        def function(x):
            return x

        self.assertIs(bound(function), function)
        self.check(lambda x: x, ([1, 2], [1, 2]), ({"x": 1}, {"x": 1}), (None, None))

    def test_one_required_parameter_among_others(self):
        self.check(
            lambda x, y=2, *a, z=3, **k: [x, y, z, a, k], ([5], [[5], 2, 3, (), {}]), (None, [None, 2, 3, (), {}])
        )

    def test_a_default_stands_for_null(self):
        self.check(lambda x=7: x, (None, 7), (0, 0), ({}, {}))
        self.check(lambda x=7, y=8: (x, y), (None, (7, 8)), ([1, 2], ([1, 2], 8)))

    def test_no_parameters(self):
        self.check(lambda: "none", (None, "none"), ([1], "none"), ({"a": 1}, "none"))

    def test_two_or_more_take_an_object_or_an_array(self):
        self.check(lambda a, b: (a, b), ([1, 2], (1, 2)), ({"b": 2, "a": 1}, (1, 2)))
        self.check(lambda a, b, c=3: (a, b, c), ([1, 2], (1, 2, 3)), ([1, 2, 4], (1, 2, 4)))
        self.check(lambda a, *, b: (a, b), ({"a": 1, "b": 2}, (1, 2)))
        self.check(lambda a, b, /, c=3: (a, b, c), ({"a": 1, "b": 2}, (1, 2, 3)), ([1, 2], (1, 2, 3)))
        call = bound(lambda a, b: (a, b))
        for argument in (5, None, "ab", {"a": 1}, [1], {"a": 1, "b": 2, "c": 3}):
            with self.subTest(argument=argument), self.assertRaises(TypeError):
                call(argument)

    def test_keywords_only(self):
        self.check(lambda *, a: a, ({"a": 1}, 1))
        self.check(lambda **k: k, ({"a": 1}, {"a": 1}), (None, {}))
        with self.assertRaises(TypeError):
            bound(lambda **k: k)(5)

    def test_var_positional_takes_the_argument(self):
        self.check(lambda *a: a, ([1, 2], ([1, 2],)))

    def test_what_is_not_a_function(self):
        class Model:
            def __call__(self, x):
                return x + 1

            def run(self, x):
                return x + 2

            @classmethod
            def make(cls, x):
                return x + 3

        self.check(Model(), (1, 2))
        self.check(Model().run, (1, 3))
        self.check(Model.make, (1, 4))
        self.check(functools.partial(lambda a, b: a + b, 10), (1, 11))
        self.check(len, ([1], 1))
        self.check(max, ([1, 3], 3))

    def test_a_cancel_event_is_not_the_callers(self):
        for function in (
            lambda x, cancel_event: (x, cancel_event.is_set()),
            lambda x, *, cancel_event: (x, cancel_event.is_set()),
        ):
            self.check(function, (5, (5, False)))
        self.check(lambda cancel_event: cancel_event.wait(0), (None, False))
        self.check(lambda a, b, cancel_event: (a, b), ([1, 2], (1, 2)), ({"a": 1, "b": 2}, (1, 2)))


class VectorsTest(unittest.TestCase):
    def test_golden_functions_are_described_and_bound(self):
        self.assertGreaterEqual(len(VECTORS["functions"]), 15)
        for golden in VECTORS["functions"]:
            scope = {}
            exec(golden["source"], scope)
            function = scope["f"]
            signature = _describe.read_signature(function)
            described = _describe.describe("f", function, signature, binding_of(signature))
            with self.subTest(golden["source"]):
                self.assertEqual({**described, "doc": None}, golden["ready"])
            call = bind(function, signature)
            for argument, expected in golden["calls"]:
                with self.subTest(golden["source"], argument=argument):
                    self.assertEqual(call(argument), expected)
            for argument in golden["rejects"]:
                with self.subTest(golden["source"], argument=argument), self.assertRaises(TypeError):
                    call(argument)

    def test_golden_annotations_have_their_types_as_text_and_as_objects(self):
        scope = {**vars(typing), "collections": collections}
        for golden in VECTORS["annotations"]:
            with self.subTest(golden["annotation"]):
                for names in ({}, scope):
                    self.assertEqual(type_of(golden["annotation"], names), golden["type"])
                try:
                    annotation = eval(golden["annotation"], dict(scope))
                except Exception:
                    # It is not an annotation, or not one of this version of Python.
                    continue
                if golden["annotation"] not in ("Optional", "Literal", "3"):
                    self.assertEqual(type_of(annotation, {}), golden["type"])


class ExposeTest(unittest.TestCase):
    def setUp(self):
        self.before = dict(_registry.FUNCTIONS)
        _registry.FUNCTIONS.clear()

    def tearDown(self):
        _registry.FUNCTIONS.clear()
        _registry.FUNCTIONS.update(self.before)

    def test_every_form(self):
        @expose
        def a(x):
            return x

        @expose("second")
        def b(x):
            return x

        @expose(name="third")
        def c(x):
            return x

        @expose()
        def d(x):
            return x

        expose(len, name="size")
        self.assertEqual(_registry.FUNCTIONS, {"a": a, "second": b, "third": c, "d": d, "size": len})

    def test_refuses_what_it_cannot_expose(self):
        for wrong in (5, [1], object()):
            with self.assertRaises(TypeError):
                expose(wrong)
        with self.assertRaises(TypeError):
            expose(functools.partial(len))
        with self.assertRaises(TypeError):
            expose("a", name="b")
        with self.assertRaises(TypeError):
            expose(name="")(len)
        expose(len, name="taken")
        with self.assertRaises(ValueError):
            expose(max, name="taken")

    def test_the_same_function_may_come_twice(self):
        source = "def f(x): return x"
        for _ in range(2):
            scope = {}
            exec(compile(source, "worker.py", "exec"), scope)
            expose(scope["f"])
        self.assertIs(_registry.FUNCTIONS["f"], scope["f"])

    def test_async_is_found_through_wrappers(self):
        async def function(x):
            return x

        class Model:
            async def __call__(self, x):
                return x

            async def run(self, x):
                return x

        for found in (
            function,
            Model(),
            Model().run,
            functools.partial(function, 1),
            functools.partial(functools.partial(function), 1),
        ):
            self.assertTrue(_describe.is_async(found))
        for found in (len, lambda x: x, functools.partial(len), self.setUp):
            self.assertFalse(_describe.is_async(found))


class DescribeTest(unittest.TestCase):
    def test_reads_code_as_inspect_does(self):
        import inspect

        def a(x, y: int = 1, *rest: str, z, w=2.5, **more) -> bool:
            pass

        def b(x, /, y, *, z):
            pass

        def c(x, y=(1, 2), /):
            pass

        def d(*, a=None):
            pass

        for function in (a, b, c, d, lambda: None, lambda x, *a: None):
            signature = _describe.read_signature(function)
            self.assertEqual(str(signature), str(inspect.signature(function)))
            fast = [p.describe() for p in signature.parameters]
            self.assertEqual(fast, [p.describe() for p in _describe._read_inspect(function).parameters])

    def test_annotations_are_readable(self):
        import typing

        class Local:
            pass

        for annotation, expected in [
            (int, "int"),
            (None, "None"),
            (list[int], "list[int]"),
            (dict[str, typing.Any], "dict[str, Any]"),
            (typing.Optional[int], "Optional[int]"),
            ("forward | ref", "forward | ref"),
            (Local, __name__ + "." + Local.__qualname__),
        ]:
            self.assertEqual(_describe.annotation_text(annotation), expected)

    def test_a_default_that_cannot_be_shown(self):
        class Odd:
            def __repr__(self):
                raise RuntimeError

        def function(a=Odd(), b="x" * 1000):
            pass

        self.assertEqual(str(_describe.read_signature(function)), "(a=..., b=...)")


class TypesTest(unittest.TestCase):
    def test_classes_of_the_script_are_not_those_of_the_standard_library(self):
        class List:
            pass

        T = typing.TypeVar("T")

        class Box(typing.Generic[T]):
            pass

        rows = [
            (List, {"class": "List"}),
            (Box[int], {"class": "Box"}),
            (typing.List[List], {"list": {"class": "List"}}),
            (T, "any"),
            (typing.AnyStr, "any"),
            (typing.NewType("Id", int), {"class": "Id"}),
            (42, "any"),
        ]
        for annotation, expected in rows:
            with self.subTest(annotation):
                self.assertEqual(type_of(annotation, {}), expected)
        self.assertEqual(type_of("List", {"List": List}), {"class": "List"})
        self.assertEqual(type_of("Box[int]", {"Box": Box}), {"class": "Box"})

    def test_names_in_text_are_looked_up_and_never_run(self):
        class Module:
            def __getattr__(self, name):
                raise AssertionError("code of the script ran")

        scope = {"Vector": typing.List[float], "t": typing, "lazy": Module(), "Alias": "list[int]"}
        rows = [
            ("Vector", {"list": "float"}),
            ("Optional[Vector]", {"union": [{"list": "float"}, "none"]}),
            ("t.Optional[t.Dict[str, Vector]]", {"union": [{"dict": {"list": "float"}}, "none"]}),
            ("Alias", {"list": "int"}),
            ("lazy.Array", {"class": "Array"}),
            ("Vector[int]", "any"),
        ]
        for annotation, expected in rows:
            with self.subTest(annotation):
                self.assertEqual(type_of(annotation, scope), expected)

    def test_an_annotation_that_names_itself_has_a_type(self):
        scope = {}
        scope["Json"] = typing.Union[typing.Dict[str, "Json"], typing.List["Json"], str]  # noqa: F821
        inner = {"union": [{"dict": {"class": "Json"}}, {"list": {"class": "Json"}}, "str"]}
        self.assertEqual(type_of("Json", scope), inner)
        self.assertEqual(type_of(scope["Json"], scope), {"union": [{"dict": inner}, {"list": inner}, "str"]})
        loop = type("Loop", (), {})()
        loop.__origin__, loop.__args__ = list, (loop,)
        # The host rejects JSON that is nested deeper than 128 levels.
        self.assertLess(json.dumps(type_of(loop, {})).count("list"), 40)

    def test_any_text_is_survived(self):
        generator = random.Random(5)
        for text in ("list[" * 10_000, "'" * 9_999, "a | " * 9_000 + "b", "x" * 100_000, "\0", "(" * 5_000):
            self.assertIn(type_of(text, {}), ("any", {"class": "x" * 100_000}))
        pieces = ["list", "Literal", "[", "]", ",", "|", "'", "\\", "-", "1", " ", ".", "...", "é", "None", "lambda:0"]
        with warnings.catch_warnings():
            # Python warns of odd escape sequences.
            warnings.simplefilter("ignore")
            for _ in range(2000):
                text = "".join(generator.choices(pieces, k=generator.randrange(12)))
                json.dumps(type_of(text, {}))


if __name__ == "__main__":
    unittest.main()
