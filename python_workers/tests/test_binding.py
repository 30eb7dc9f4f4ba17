"""How an argument reaches the parameters, what Ready states, and what `expose` accepts."""

import functools
import json
import re
import sys
import types
import typing
import unittest

from pyproc_worker import _describe, _registry, expose
from pyproc_worker._bind import bind
from pyproc_worker._checked import Invalid

from .harness import repository

with open(repository("tests/vectors/functions.json"), encoding="utf-8") as _file:
    VECTORS = json.load(_file)


def bound(function, args=None):
    return bind(function, _describe.read_signature(function), args)


def paths(error):
    return [path for path, _, _ in error.errors]


class BindTest(unittest.TestCase):
    """What is not a row of front_door.json."""

    def check(self, function, *cases):
        call = bound(function).call
        for argument, expected in cases:
            with self.subTest(argument=argument):
                self.assertEqual(call(argument), expected)

    def rejects(self, function, argument, *expected):
        with self.assertRaises(Invalid) as caught:
            bound(function).call(argument)
        self.assertEqual(paths(caught.exception), list(expected))
        return caught.exception.errors

    def rejects_some(self, function, argument):
        with self.assertRaises(Invalid) as caught:
            bound(function).call(argument)
        return caught.exception.errors

    def test_a_function_without_anything_to_decide_is_called_directly(self):
        def plain(req):
            return req

        def mapping(req: dict):
            return req

        def anything(req: typing.Any):
            return req

        async def later(req: typing.Mapping):
            return req

        for function in (plain, mapping, anything, later):
            self.assertIs(bound(function).call, function)

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
        self.check(functools.partial(lambda a, b: [a, b], b=10), (1, [1, 10]), ({"a": 1, "b": 2}, [1, 2]))
        self.check(len, ([1], 1))
        self.check(max, ([1, 3], 3))
        # No argument is none, also if the signature is unknown.
        with self.assertRaises(TypeError):
            bound(max).absent(None)
        self.assertEqual(bound(dict).absent(None), {})

    def test_a_cancel_event_is_not_the_callers(self):
        for function in (
            lambda x, cancel_event: (x, cancel_event.is_set()),
            lambda x, *, cancel_event: (x, cancel_event.is_set()),
        ):
            self.check(function, (5, (5, False)))
        self.check(lambda cancel_event: cancel_event.wait(0), (None, False))
        self.check(lambda a, b, cancel_event: (a, b), ([1, 2], (1, 2)), ({"a": 1, "b": 2}, (1, 2)))
        self.rejects(lambda a, b, cancel_event, **k: 0, {"a": 1, "b": 2, "cancel_event": 3}, "cancel_event")

    def test_keys_of_messagepack_that_are_not_strings(self):
        self.rejects(lambda a, b: 0, {1: 2, b"x": 3}, "a", "b", "1", "b'x'")
        self.rejects(lambda **k: k, {1: 2}, "1")
        self.rejects(lambda a, b, **k: k, {"a": 1, "b": 2, 3: 4}, "3")

    def test_positional_only_parameters_have_their_defaults_in_gaps(self):
        self.check(
            lambda a=1, b=2, /, c=3: (a, b, c), ({"b": 5}, (1, 5, 3)), ({"c": 5}, (1, 2, 5)), ({"a": 0, "c": 4}, (0, 2, 4))
        )

        def whole(a: int = 1, b: int = 2, /, *, c: int):
            return a, b, c

        self.check(whole, ({"c": 3}, (1, 2, 3)), ({"c": 3, "b": 5}, (1, 5, 3)))

    def test_a_default_of_none_takes_none(self):
        def function(a: int = None, b: typing.List[int] = None, c: dict = None):
            return a, b, c

        self.check(function, ({"a": None, "b": None, "c": None}, (None,) * 3), ({"a": 1}, (1, None, None)), (None, (None,) * 3))
        self.check(function, ({"c": {"k": 5}}, (None, None, {"k": 5})))
        with self.assertRaises(Invalid) as caught:
            bind(function, _describe.read_signature(function)).call({"c": 5})
        self.assertEqual(caught.exception.errors, [("c", "expected a dict or None, not an int", "type")])
        self.rejects(function, {"a": "x", "b": 5}, "a", "b")

    def test_every_error_of_an_argument_is_listed_up_to_a_limit(self):
        def many(a: typing.List[int], b: int):
            return 0

        errors = self.rejects(many, {"a": ["x"] * 100, "b": "y"}, *["a[%d]" % i for i in range(20)])
        self.assertEqual(errors[0], ("a[0]", "expected an int, not a str", "type"))
        self.assertEqual(len(self.rejects(many, {str(i): i for i in range(100)}, "a", "b", *map(str, range(18)))), 20)

    def test_a_huge_object_of_wrong_names_is_reported_up_to_the_limit(self):
        names = {"n" * 1000 + str(i): i for i in range(1000)}
        for function in (lambda: 1, lambda a, b: 1):
            errors = self.rejects_some(function, names)
            self.assertEqual(len(errors), 20)
            self.assertLess(max(len(path) for path, _, _ in errors), 60)

    def test_an_object_for_one_parameter_is_converted_once(self):
        seen = []

        def call(value: typing.List[int]):
            return value

        made = _describe.read_signature(call)
        convert = made.parameters[0].type.convert
        made.parameters[0].type.convert = lambda value: seen.append(value) or convert(value)
        with self.assertRaises(Invalid) as caught:
            bind(call, made).call({"other": 1})
        self.assertEqual(seen, [{"other": 1}])
        self.assertIn("or an object with the name value", caught.exception.errors[0][1])

        def too_deep(_):
            raise RecursionError

        made.parameters[0].type.convert = too_deep
        with self.assertRaises(Invalid) as caught:
            bind(call, made).call({"other": 1})
        self.assertEqual(caught.exception.errors[0][0], "value")
        self.assertIn("nested too deeply", caught.exception.errors[0][1])

    def test_long_names_of_a_client_are_cut_in_paths(self):
        def f(a: int = 1, **rest: int):
            pass

        ((path, _, _),) = self.rejects_some(f, {"k" * 100: "x"})
        self.assertEqual(path, "'" + "k" * 36 + "...")

    def test_what_is_nested_too_deeply_does_not_fit(self):
        scope = {"Tree": typing.List["Tree"]}  # noqa: F821

        def deep(tree: "Tree"):  # noqa: F821
            return 0

        deep = type(deep)(deep.__code__, {**globals(), **scope})
        deep.__annotations__["tree"] = "Tree"
        tree = []
        for _ in range(5000):
            tree = [tree]
        errors = self.rejects(deep, tree, "tree")
        self.assertEqual(errors[0][1:], ("nested too deeply", "value"))

    def test_args_decides_by_hand(self):
        def function(a, b=2):
            return a, b

        self.assertEqual(bound(function, "whole").call({"a": 1, "b": 3}), ({"a": 1, "b": 3}, 2))
        self.assertEqual(bound(function, "whole").binding, "whole")
        self.assertEqual(bound(function, "keywords").call({"a": 1}), (1, 2))
        self.assertEqual(bound(function, "keywords").binding, "keywords")
        self.assertEqual(bound(dict, "keywords").call({"a": 1}), {"a": 1})
        self.assertEqual(bound(dict, "keywords").call(None), {})


class VectorsTest(unittest.TestCase):
    def test_golden_functions_are_described_and_bound(self):
        self.assertGreaterEqual(len(VECTORS["bound"]), 20)
        for golden in VECTORS["bound"]:
            module = types.ModuleType("golden")
            sys.modules["golden"] = module
            self.addCleanup(sys.modules.pop, "golden", None)
            exec(golden["source"], module.__dict__)
            function = module.f
            annotations = _describe.Annotations()
            signature = _describe.read_signature(function, annotations)
            bound = bind(function, signature)
            described = _describe.describe("f", function, signature, bound)
            with self.subTest(golden["source"]):
                self.assertEqual({**described, "doc": None}, golden["ready"])
                self.assertEqual(annotations.definitions, golden["definitions"])
            for argument, expected in golden["calls"]:
                with self.subTest(golden["source"], argument=argument):
                    self.assertEqual(bound.call(argument), expected)
            for argument in golden["rejects"]:
                with self.subTest(golden["source"], argument=argument), self.assertRaises(Invalid):
                    bound.call(argument)


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

    def test_args_that_the_function_cannot_take_are_an_error_where_it_is_declared(self):
        for args, function, text in [
            ("all", len, 'args="whole" or args="keywords", not \'all\''),
            ("whole", lambda: 0, "needs a positional parameter"),
            ("whole", lambda *, a: 0, "needs a positional parameter"),
            ("whole", lambda a, b: 0, "fills only `a`, but `b` must be given too"),
            ("whole", lambda a, *, b: 0, "but `b` must be given too"),
            ("keywords", lambda: 0, "needs a parameter with a name"),
            ("keywords", lambda *a: 0, "needs a parameter with a name"),
        ]:
            with self.subTest(text), self.assertRaisesRegex(TypeError, re.escape(text)):
                expose(function, name="f", args=args)
        self.assertEqual(_registry.FUNCTIONS, {})
        expose(lambda a, b=1: 0, name="whole", args="whole")
        expose(lambda *a: 0, name="rest", args="whole")
        expose(name="keywords", args="keywords")(lambda **k: 0)
        expose(max, name="unknown", args="keywords")
        self.assertEqual([_registry.ARGUMENTS[name] for name in ("whole", "rest", "keywords")], ["whole", "whole", "keywords"])

    def test_a_cell_of_a_notebook_that_runs_again_replaces_its_function(self):
        for files in (
            ("<ipython-input-3-0a1b>", "<ipython-input-4-0a1b>"),
            ("/tmp/ipykernel_77/123.py", "/tmp/ipykernel_77/456.py"),
            ("<stdin>", "<stdin>"),
        ):
            _registry.FUNCTIONS.clear()
            for number, file in enumerate(files):
                scope = {"__name__": "__main__", "expose": expose}
                exec(compile("\n" * number + "@expose\ndef f(x): return %d" % number, file, "exec"), scope)
            self.assertEqual(_registry.FUNCTIONS["f"](0), 1)
        # The functions of two files are two functions.
        with self.assertRaises(ValueError):
            exec(compile("@expose\ndef f(x): return 0", "worker.py", "exec"), {"expose": expose})

    def test_the_same_function_may_come_twice(self):
        source = "def f(x): return x"
        for _ in range(2):
            scope = {}
            exec(compile(source, "worker.py", "exec"), scope)
            expose(scope["f"])
        self.assertIs(_registry.FUNCTIONS["f"], scope["f"])

    def test_functions_of_one_decorator_are_several(self):
        def plain(function):
            def wrapper(x):
                return function(x)

            return wrapper

        for decorate in (plain, lambda function: functools.wraps(function)(plain(function))):
            _registry.FUNCTIONS.clear()
            expose(decorate(lambda x: 1), name="f")
            with self.assertRaises(ValueError):
                expose(decorate(lambda x: 2), name="f")

    def test_a_static_method_keeps_its_first_parameter(self):
        def f(a: int, b: int = 2):
            return [a, b]

        signature = _describe.read_signature(staticmethod(f))
        self.assertEqual([p.name for p in signature.parameters], ["a", "b"])
        self.assertEqual([p.name for p in _describe.read_signature(types.MethodType(f, 1)).parameters], ["b"])

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
            self.assertEqual(fast, [p.describe() for p in _describe._read_inspect(function, _describe.Annotations()).parameters])

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


if __name__ == "__main__":
    unittest.main()
