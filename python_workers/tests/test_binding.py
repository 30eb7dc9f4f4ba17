"""How one argument reaches the parameters, and what `expose` accepts."""

import functools
import unittest

from pyproc_worker import _describe, _registry, expose
from pyproc_worker._bind import bind

from . import harness  # noqa: F401


def bound(function):
    parameters, _ = _describe.read_parameters(function)
    event = [p for p in parameters or () if p.name == "cancel_event"]
    return bind(
        function, [p for p in parameters or () if p not in event] if parameters is not None else None, bool(event)
    )


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
            parameters, returns = _describe.read_parameters(function)
            self.assertEqual(_describe.signature_text(parameters, returns), str(inspect.signature(function)))
            fast = [p.describe() for p in parameters]
            self.assertEqual(fast, [p.describe() for p in _describe._read_inspect(function)[0]])

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

        parameters, returns = _describe.read_parameters(function)
        self.assertEqual(_describe.signature_text(parameters, returns), "(a=..., b=...)")


if __name__ == "__main__":
    unittest.main()
