"""`pyproc_worker.testing` calls functions in this process as a worker process would."""

import asyncio
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

from pyproc_worker import _in_process, _registry, current_call, expose, setup, teardown, testing

from .harness import ROOT, Host

SCRIPT = """
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Optional
from pyproc_worker import current_call, expose, run_worker, setup, teardown

events = []

@dataclass
class Point:
    x: float
    y: float = 0.0

@setup
def load():
    events.append("setup")

@setup
async def connect():
    events.append("async setup")

@teardown
def first():
    events.append("teardown 1")

@teardown
async def second():
    events.append("teardown 2")

@expose
def predict(req):
    return {"result": req["value"] * 2, "events": events}

@expose
def length(p: Point) -> float:
    assert type(p) is Point
    return (p.x**2 + p.y**2) ** 0.5

@expose
def two(a, b=2, *, c=3):
    return [a, b, c]

@expose
def maybe(x=None):
    return repr(x)

@expose
def echo(data):
    return data

@expose
async def slow(value: int):
    import asyncio
    await asyncio.sleep(0)
    return [value, current_call().metadata, current_call().call_id]

@expose
def context():
    call = current_call()
    return [call.call_id, call.metadata, call.remaining(), call.cancelled]

@expose
def raises(value):
    raise KeyError(value)

@expose
def generates():
    yield 1

@expose
def place():
    return [__name__, sys.modules["__main__"].__dict__ is globals(), sys.argv, sys.path[0]]

if __name__ == "__main__":
    run_worker()
    raise AssertionError("a worker serves here")
"""


class Scratch(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = os.path.realpath(directory.name)

    def write(self, name, source):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(textwrap.dedent(source))
        return path


class WorkerTest(Scratch):
    def setUp(self):
        super().setUp()
        self.path = self.write("worker.py", SCRIPT)
        self.worker = testing.worker(self.path)
        self.addCleanup(self.worker.close)

    def test_each_codec_goes_both_ways(self):
        call = self.worker.call
        for codec in ("json", "msgpack"):
            with self.subTest(codec):
                self.assertEqual(call("predict", {"value": 21}, codec=codec)["result"], 42)
                self.assertEqual(call("length", {"x": 3, "y": 4}, codec=codec), 5.0)
                self.assertEqual(call("two", {"a": 1, "c": 5}, codec=codec), [1, 2, 5])
                self.assertEqual(call("two", [1], codec=codec), [1, 2, 3])
        # As the host decodes it: JSON has no tuples, and only strings as keys.
        self.assertEqual(call("echo", {"a": (1, None)}), {"a": [1, None]})
        self.assertEqual(call("echo", {1: 2}), {"1": 2})
        self.assertEqual(call("echo", {1: 2}, codec="msgpack"), {1: 2})
        self.assertEqual(call("echo", b"\xff"), b"\xff")
        self.assertEqual(call("echo", {"raw": b"\xff"}, codec="msgpack"), {"raw": b"\xff"})

    def test_an_absent_argument_is_not_null(self):
        self.assertEqual(self.worker.call("maybe"), "None")
        self.assertEqual(self.worker.call("maybe", 1), "1")
        with self.assertRaises(testing.InvalidArgument) as caught:
            self.worker.call("length")
        self.assertEqual([(e.path, e.kind) for e in caught.exception.errors], [("p", "missing")])

    def test_an_argument_that_does_not_fit_says_where(self):
        with self.assertRaises(testing.InvalidArgument) as caught:
            self.worker.call("length", {"x": "far"})
        (error,) = caught.exception.errors
        self.assertEqual((error.path, error.kind), ("p.x", "type"))
        self.assertIn("p.x: ", str(caught.exception))
        with self.assertRaises(testing.InvalidArgument):
            self.worker.call("slow", "1")

    def test_the_exception_of_the_function_is_raised_itself(self):
        try:
            self.worker.call("raises", "ada")
        except KeyError as error:
            self.assertEqual(error.args, ("ada",))
            traceback = error.__traceback__
        frames = []
        while traceback is not None:
            frames.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        self.assertEqual(frames[-1], "raises")

    def test_an_async_function_runs_with_and_without_a_running_loop(self):
        call = self.worker.call
        expected = [1, {"k": "v"}, 0]
        self.assertEqual(call("slow", 1, metadata={"k": "v"}), expected)

        async def in_a_notebook():
            return call("slow", 1, metadata={"k": "v"})

        self.assertEqual(asyncio.run(in_a_notebook()), expected)

    def test_the_running_call_is_as_in_a_worker(self):
        call_id, metadata, remaining, cancelled = self.worker.call("context", metadata={"k": "v"}, timeout=60)
        self.assertEqual((call_id, metadata, cancelled), (0, {"k": "v"}, False))
        self.assertTrue(50 < remaining <= 60)
        self.assertEqual(self.worker.call("context"), [0, {}, None, False])
        self.assertIsNone(current_call().call_id)

    def test_what_cannot_be_sent_is_an_error(self):
        with self.assertRaisesRegex(testing.EncodeError, "generator"):
            self.worker.call("generates")
        with self.assertRaisesRegex(TypeError, "the argument of 'echo' is not data.*set"):
            self.worker.call("echo", {1, 2})
        with self.assertRaisesRegex(TypeError, "the argument of 'echo' is not data"):
            self.worker.call("echo", {"a": {1, 2}}, codec="msgpack")
        with self.assertRaises(TypeError):
            self.worker.call("echo", float("nan"))
        with self.assertRaisesRegex(ValueError, "codec"):
            self.worker.call("echo", 1, codec="xml")

    def test_unknown_names_are_listed(self):
        with self.assertRaisesRegex(testing.UnknownFunction, "unknown function 'predcit'; exposed: predict, length"):
            self.worker.call("predcit", 1)
        self.assertIn("predict", [function["name"] for function in self.worker.functions])

    def test_hooks_run_once_and_in_the_order_of_a_worker(self):
        self.worker.call("predict", {"value": 1})
        events = self.worker.call("predict", {"value": 1})["events"]
        self.assertEqual(events, ["setup", "async setup"])
        main = self.worker._modules["__main__"]
        self.worker.close()
        self.worker.close()
        self.assertEqual(main.events[2:], ["teardown 2", "teardown 1"])
        with self.assertRaises(testing.UnknownFunction):
            self.worker.call("predict", {"value": 1})

    def test_the_script_is_main_and_the_process_is_not_changed(self):
        before = (sys.modules["__main__"], list(sys.argv), list(sys.path), dict(_registry.FUNCTIONS))
        with testing.worker(self.path) as worker:
            name, is_main, argv, path = worker.call("place")
        self.assertEqual((name, is_main, argv, path), ("__main__", True, [self.path], self.directory))
        after = (sys.modules["__main__"], list(sys.argv), list(sys.path), dict(_registry.FUNCTIONS))
        self.assertEqual(before, after)

    def test_results_are_those_of_a_worker_process(self):
        arguments = [("two", {"a": 1}), ("two", [1, 2]), ("length", {"x": 3, "y": 4}), ("maybe", None), ("echo", [1.5])]
        with Host(SCRIPT.replace("raise AssertionError", "print")) as host:
            for name, argument in arguments:
                with self.subTest(name):
                    self.assertEqual(self.worker.call(name, argument), host.call(name, argument).value)


class LoadTest(Scratch):
    def test_a_script_without_run_worker_serves_too(self):
        path = self.write("worker.py", "from pyproc_worker import expose\n@expose\ndef f(x):\n    return x\n")
        with testing.worker(path) as worker:
            self.assertEqual(worker.call("f", 1), 1)

    def test_two_scripts_may_expose_the_same_name(self):
        source = "from pyproc_worker import expose\n@expose\ndef f():\n    return %r\n"
        paths = [self.write(name, source % name) for name in ("a.py", "b.py")]
        with testing.worker(paths[0]) as a, testing.worker(paths[1]) as b:
            self.assertEqual((a.call("f"), b.call("f")), ("a.py", "b.py"))

    def test_a_module_that_the_test_has_imported_is_loaded_once_more(self):
        self.write("model_of_test.py", "from pyproc_worker import expose\n@expose\ndef shared():\n    return __name__\n")
        path = self.write("worker.py", "import model_of_test\n")
        sys.path.insert(0, self.directory)
        self.addCleanup(sys.path.remove, self.directory)
        import model_of_test

        self.addCleanup(sys.modules.pop, "model_of_test")
        self.addCleanup(_registry.FUNCTIONS.pop, "shared")
        with testing.worker(path) as worker:
            self.assertEqual(worker.call("shared"), "model_of_test")
        self.assertIs(sys.modules["model_of_test"], model_of_test)
        self.assertIs(_registry.FUNCTIONS["shared"], model_of_test.shared)

    def test_a_module_runs_as_with_m(self):
        self.write("worker_of_test.py", "from pyproc_worker import expose\n@expose\ndef f():\n    return __name__\n")
        sys.path.insert(0, self.directory)
        self.addCleanup(sys.path.remove, self.directory)
        with testing.worker(module="worker_of_test") as worker:
            self.assertEqual(worker.call("f"), "__main__")
        with self.assertRaises(ModuleNotFoundError):
            testing.worker(module="no_worker_of_test")

    def test_failures_of_the_start_are_raised(self):
        head = "from pyproc_worker import expose, setup\n@expose\ndef f():\n    return 1\n"
        rows = [
            ("1 / 0\n", ZeroDivisionError),
            (head + "@setup\ndef fails():\n    raise RuntimeError('no model')\n", RuntimeError),
            ("x = 1\n", LookupError),
        ]
        for source, error in rows:
            with self.subTest(error):
                before = dict(_registry.FUNCTIONS)
                with self.assertRaises(error):
                    testing.worker(self.write("worker.py", source))
                self.assertEqual(_registry.FUNCTIONS, before)
        with self.assertRaises(FileNotFoundError):
            testing.worker(os.path.join(self.directory, "nowhere.py"))
        with self.assertRaises(TypeError):
            testing.worker()


class CallTest(Scratch):
    def setUp(self):
        super().setUp()
        registry = _in_process.Registry.live()
        before = registry.copy()
        registry.clear()
        self.addCleanup(registry.replace, before)
        self.addCleanup(testing.teardown)

    def test_imported_functions_are_called_after_their_hooks(self):
        events = []
        setup(lambda: events.append("setup"))
        teardown(lambda: events.append("teardown"))

        @expose
        def double(value: int) -> int:
            events.append("call")
            return value * 2

        self.assertEqual(testing.call("double", {"value": 2}), 4)
        self.assertEqual(testing.call("double", 3, codec="msgpack"), 6)
        with self.assertRaises(testing.InvalidArgument):
            testing.call("double", "2")
        testing.teardown()
        testing.teardown()
        self.assertEqual(events, ["setup", "call", "call", "teardown"])
        self.assertEqual(testing.call("double", 1), 2)
        self.assertEqual(events[4:], ["setup", "call"])

    def test_a_function_that_is_exposed_later_is_found(self):
        with self.assertRaises(testing.UnknownFunction):
            testing.call("f")
        expose(lambda x: x + 1, name="f")
        self.assertEqual(testing.call("f", 1), 2)
        _registry.FUNCTIONS["f"] = lambda x: x + 2
        self.assertEqual(testing.call("f", 1), 3)

    def test_teardown_runs_at_the_exit_of_the_process(self):
        source = """
            from pyproc_worker import expose, teardown, testing
            expose(lambda: 1, name="f")
            teardown(lambda: print("torn down"))
            print(testing.call("f"))
        """
        run = [sys.executable, "-c", textwrap.dedent(source)]
        output = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60)
        self.assertEqual((output.stdout, output.stderr), ("1\ntorn down\n", ""))


if __name__ == "__main__":
    unittest.main()
