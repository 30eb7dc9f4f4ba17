"""The start and the end of a worker: failures are reported, and it ends cleanly."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

from pyproc_worker import _frames

from .harness import PREDICT, ROOT, Host

class ScriptTest(unittest.TestCase):
    def test_scripts_of_pyproc_run_unchanged(self):
        endings = {
            "guarded": "if __name__ == '__main__':\n    run_worker()\n",
            "unguarded": "run_worker()\n",
            "absent": "",
            "socket path": "import sys\nrun_worker(sys.argv[1] if len(sys.argv) > 1 else '/tmp/pyproc.sock')\n",
            "keyword": "run_worker(socket_path='/tmp/x.sock')\n",
        }
        for name, ending in endings.items():
            with self.subTest(ending=name), Host(PREDICT + ending + "print('after', flush=True)\n") as host:
                self.assertEqual(host.call("predict", {"value": 42}).value, {"result": 84})
                self.assertEqual(host.drain(), 0)
                self.assertIn("after", host.out.end())

    def test_the_script_is_main(self):
        worker = """
            import sys, os, pickle, __main__
            from pyproc_worker import expose
            class Thing: pass
            @expose
            def look():
                pickle.loads(pickle.dumps(Thing()))
                return [__name__, __main__.__dict__ is globals(), sys.argv, os.path.basename(__file__),
                        sys.path[0] == os.path.dirname(__file__), "__builtins__" in globals(),
                        [k for k in os.environ if k.startswith("PYPROC_")], Thing.__module__]
        """
        with Host(worker) as host:
            value = host.call("look").value
            self.assertEqual(value, ["__main__", True, [host.path], "worker.py", True, True, [], "__main__"])

    def test_a_module_runs_as_with_m(self):
        directory = tempfile.mkdtemp(prefix="pyproc-test-")
        package = os.path.join(directory, "pkg")
        os.mkdir(package)
        for name, text in {
            "__init__.py": "",
            "other.py": "N = 2\n",
            "mod.py": "from pyproc_worker import expose\nfrom .other import N\n"
            "@expose\ndef f(x):\n    return [x * N, __name__, __package__, __spec__.name]\n",
            "__main__.py": "from . import mod\n",
        }.items():
            with open(os.path.join(package, name), "w") as file:
                file.write(text)
        with Host(module="pkg.mod", cwd=directory) as host:
            self.assertEqual(host.call("f", 4).value, [8, "__main__", "pkg", "pkg.mod"])
        with Host(module="pkg", cwd=directory) as host:
            self.assertEqual(host.call("f", 4).value, [8, "pkg.mod", "pkg", "pkg.mod"])
        with Host(module="pkg.absent", cwd=directory) as host:
            self.assertIn("no module named pkg.absent", host.failed()["message"])

    def test_ready_describes_signatures(self):
        worker = '''
            from __future__ import annotations
            import functools
            from typing import Optional
            from pyproc_worker import expose
            @expose
            def a(req: dict, n: int = 3, *rest, flag: Optional[bool] = None, **more: str) -> list[int]:
                """
                First line.

                Second."""
            @expose
            def b(x, /, y, *, z=1): pass
            class Model:
                def run(self, x: float) -> float: return x
                def __call__(self, x): return x
            expose(Model().run, name="method")
            expose(Model(), name="object")
            expose(functools.partial(a, n=1), name="partial")
            @expose
            def c(req, cancel_event): pass
            expose(len)
            expose(max)
            @expose
            @functools.lru_cache
            def d(x: int) -> int: return x
        '''
        with Host(worker) as host:
            functions = {f["name"]: f for f in host.ready()["functions"]}
            signature = {name: f["signature"] for name, f in functions.items()}
            self.assertEqual(
                signature["a"],
                "(req: dict, n: int = 3, *rest, flag: Optional[bool] = None, **more: str) -> list[int]",
            )
            self.assertEqual(functions["a"]["doc"], "First line.\n\nSecond.")
            self.assertEqual(functions["a"]["returns"], "list[int]")
            self.assertEqual(
                functions["a"]["parameters"][:3],
                [
                    {
                        "name": "req",
                        "kind": "positional_or_keyword",
                        "required": True,
                        "annotation": "dict",
                        "schema": {"type": "object"},
                    },
                    {
                        "name": "n",
                        "kind": "positional_or_keyword",
                        "required": False,
                        "annotation": "int",
                        "schema": {"type": "integer"},
                        "default": 3,
                    },
                    {
                        "name": "rest",
                        "kind": "var_positional",
                        "required": False,
                        "annotation": None,
                        "schema": {},
                    },
                ],
            )
            self.assertEqual(signature["b"], "(x, /, y, *, z=1)")
            self.assertEqual(signature["method"], "(x: float) -> float")
            self.assertEqual(signature["object"], "(x)")
            self.assertEqual(signature["c"], "(req)")
            self.assertEqual(signature["len"], "(obj, /)")
            self.assertEqual(signature["d"], "(x: int) -> int")
            self.assertEqual(host.call("len", [1, 2]).value, 2)
            self.assertEqual(host.call("max", [1, 2]).value, 2)
            self.assertEqual(host.call("object", 5).value, 5)
            self.assertEqual(host.call("d", 5).value, 5)
            self.assertEqual(host.call("b", {"x": 1, "y": 2}).value, None)

    def test_text_that_utf_8_cannot_hold_is_escaped(self):
        worker = r'''
            import logging
            from pyproc_worker import expose
            @expose
            def f(x, y="\ud800", z: "\ud801" = 1) -> "\ud802":
                logging.getLogger("\ud804").warning("\ud805")
                return x
            # The compiler of Python 3.13 rejects it in the source.
            f.__doc__ = "A lone surrogate: \ud803."
            expose(f, name="\ud806")
        '''
        with Host(worker) as host:
            functions = host.ready()["functions"]
            self.assertEqual([f["name"] for f in functions], ["f", "\\ud806"])
            self.assertEqual(functions[0]["doc"], "A lone surrogate: \\ud803.")
            # repr() has already escaped the default.
            self.assertEqual(functions[0]["signature"], "(x, y='\\ud800', z: \\ud801 = 1) -> \\ud802")
            self.assertEqual([host.call(n, 3).value for n in (0, 1)], [3, 3])
            self.assertIn(r'"logger":"\\ud804","message":"\\ud805"', host.log.wait("ud805"))

    def test_by_hand_it_says_how_to_run_it(self):
        rows = (
            (PREDICT, "predict JSON"),
            ("from pyproc_worker import *\n@expose\ndef f(): pass\n@expose\ndef g(x): pass\n", "f"),
            ("from pyproc_worker import *\n@expose\ndef f(a, b, c=1, *, d, e=2, cancel_event): pass\n", "f a=... b=... d=..."),
            ("from pyproc_worker import *\n@expose\ndef f(*, d): pass\n", "f d=..."),
            ("from pyproc_worker import *\nexpose(len)\n", "len JSON"),
            ("from pyproc_worker import *\n", "FUNCTION JSON"),
        )
        for script, call in rows:
            with self.subTest(call), tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "worker.py")
                with open(path, "w") as file:
                    file.write(script + "run_worker()\n")
                done = subprocess.run(
                    [sys.executable, path], env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True
                )
                self.assertEqual(done.returncode, 2)
                self.assertIn("pyproc call worker.py %s\n" % call, done.stderr)
                self.assertIn("pyproc serve worker.py\n", done.stderr)

    def test_importing_it_has_no_side_effect(self):
        program = (
            "import sys, signal; before = set(sys.modules); handlers = [signal.getsignal(s) for s in range(1, 32)]\n"
            "import pyproc_worker, threading\n"
            "assert handlers == [signal.getsignal(s) for s in range(1, 32)]\n"
            "assert threading.active_count() == 1\n"
            "new = set(sys.modules) - before\n"
            "assert not new & {'logging', 'asyncio', 'json', 'inspect'}, new\n"
        )
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", "import sys; sys.path.append(%r)\n" % ROOT + program], check=True
        )


class StartFailureTest(unittest.TestCase):
    def test_every_failure_is_told_and_printed(self):
        head = "from pyproc_worker import expose, run_worker, setup\n@expose\ndef f(x): return x\n"
        cases = {
            "syntax": ("def broken(:\n", "SyntaxError", "def broken(:"),
            "import": ("import no_such_module_at_all\n", "ModuleNotFoundError", "import no_such_module_at_all"),
            "exception": (head + "def g():\n    1 / 0\ng()\n", "ZeroDivisionError", "1 / 0"),
            "exit": (head + "import sys\nsys.exit('enough')\n", "SystemExit", "sys.exit('enough')"),
            "setup": (
                head + "@setup\ndef s():\n    raise OSError('no model')\n",
                "OSError",
                "raise OSError('no model')",
            ),
            "setup in run_worker": (
                head + "@setup\ndef s():\n    raise OSError('no model')\nrun_worker()\n",
                "OSError",
                "raise OSError('no model')",
            ),
            "async setup": (
                head + "@setup\nasync def s():\n    raise OSError('no')\n",
                "OSError",
                "raise OSError('no')",
            ),
            "twice": (head + "@expose(name='f')\ndef g(x): return x\n", "ValueError", "two functions are exposed"),
            "surrogate": (
                head + "def g():\n    raise OSError('no \\ud800')\ng()\n",
                "OSError",
                "OSError: no \\ud800",
            ),
            "exit in setup": (head + "@setup\ndef s():\n    exit(0)\n", "SystemExit", "exit(0)"),
        }
        for name, (script, kind, line) in cases.items():
            with self.subTest(case=name), Host(script) as host:
                failure = host.failed()
                self.assertEqual(failure["type"], kind)
                self.assertIn(line, failure["traceback"])
                self.assertNotIn("_load.py", failure["traceback"])
                self.assertNotIn("_worker.py", failure["traceback"])
                self.assertIn(line, host.err.end())
                self.assertFalse(any(f[0] == _frames.READY for f in host.frames))

    def test_a_script_that_exposes_nothing(self):
        for script in ("x = 1\n", "from pyproc_worker import run_worker\nrun_worker()\n"):
            with Host(script) as host:
                self.assertIn("@expose", host.failed()["message"])
                self.assertIn("@expose", host.err.end())

    def test_no_such_file(self):
        with Host("/nowhere/worker.py") as host:
            failure = host.failed()
            self.assertIn("can't open file '/nowhere/worker.py': No such file or directory", failure["message"])

    def test_a_host_of_another_version(self):
        with Host(PREDICT, protocol=2) as host:
            self.assertEqual(host.process.wait(30), 1)
            self.assertIn("protocol 1", host.err.end())


class EndTest(unittest.TestCase):
    HOOKS = """
        import time
        from pyproc_worker import expose, setup, teardown, run_worker
        for n in (1, 2):
            setup(lambda n=n: print("setup", n))
            teardown(lambda n=n: print("teardown", n))
        @teardown
        def broken():
            raise RuntimeError("in teardown")
        @expose
        def nap(seconds):
            if seconds == 100:
                print("nap")
            time.sleep(seconds)
            return seconds
        run_worker()
        print("after")
    """
    ORDER = "setup 1\nsetup 2\nteardown 2\nteardown 1\nafter\n"

    def test_drain_answers_what_was_sent_before(self):
        with Host(self.HOOKS) as host:
            calls = [host.start_call("nap", 0.01) for _ in range(5)]
            self.assertEqual(host.drain(), 0)
            self.assertEqual([host.answer(c).value for c in calls], [0.01] * 5)
            self.assertEqual(host.out.end(), self.ORDER)
            self.assertIn("in teardown", host.err.end())

    def test_the_end_of_the_socket_ends_the_worker(self):
        with Host(self.HOOKS) as host:
            host.ready()
            self.assertEqual(host.hang_up(), 0)
            self.assertEqual(host.out.end(), self.ORDER)

    def test_a_host_that_has_closed_ends_the_worker(self):
        with Host(self.HOOKS) as host:
            call = host.start_call("nap", 0.1)
            host.wait_phase(call, 1)
            # As after the host's death: nothing reads the replies.
            host.socket.shutdown(2)
            self.assertEqual(host.process.wait(30), 0)
            self.assertEqual(host.out.end(), self.ORDER)

    def test_sigterm_ends_the_running_call_and_skips_the_rest(self):
        with Host(self.HOOKS) as host:
            running, waiting = host.start_call("nap", 100), host.start_call("nap", 100)
            host.out.wait("nap\n")
            host.signal(signal.SIGTERM)
            self.assertEqual(host.process.wait(30), 0)
            self.assertEqual(host.answer(running).code, _frames.INTERRUPTED)
            self.assertEqual(host.answer(waiting).code, _frames.SKIPPED)
            self.assertEqual(host.out.end().replace("nap\n", ""), self.ORDER)

    def test_sigterm_ends_an_idle_worker(self):
        with Host(self.HOOKS) as host:
            host.call("nap", 0)
            host.signal(signal.SIGTERM)
            self.assertEqual(host.process.wait(30), 0)
            self.assertEqual(host.out.end(), self.ORDER)

    def test_frames_that_the_protocol_does_not_allow_end_the_worker(self):
        for data, message in [
            ((7).to_bytes(4, "big") + b"\x10" + b"\0" * 7, "shorter than its header"),
            ((0).to_bytes(4, "big") + b"\0" * 8, "shorter than its header"),
            ((1 << 20).to_bytes(4, "big") + b"\x10" + b"\0" * 7, "longer than max_frame"),
            ((0xFFFFFFFF).to_bytes(4, "big") + b"\x10" + b"\0" * 7, "longer than max_frame"),
            (_frames.frame(99, 0, 0, 0), "unknown kind 99"),
        ]:
            with self.subTest(message=message), Host(PREDICT, max_frame=65536) as host:
                answered = host.call("predict", {"value": 1})
                host.socket.sendall(data)
                self.assertEqual(host.process.wait(30), 1)
                self.assertIn("protocol error", host.err.wait(message))
                self.assertEqual(answered.value, {"result": 2})

    def test_the_end_inside_a_frame_is_an_error(self):
        with Host(PREDICT) as host:
            host.ready()
            host.socket.sendall(b"\0\0")
            self.assertEqual(host.hang_up(), 1)
            self.assertIn("inside a frame", host.err.end())

    THREADS = """
        import asyncio, atexit, concurrent.futures, threading, time
        from pyproc_worker import expose, teardown
        atexit.register(lambda: print("atexit", flush=True))
        teardown(lambda: print("teardown", flush=True))
        executor = concurrent.futures.ThreadPoolExecutor(2)
        def work(kind, seconds):
            print(kind, "has begun", flush=True)
            time.sleep(seconds)
            print(kind, "has ended", flush=True)
        @expose
        def in_executor(seconds):
            executor.submit(work, "executor", seconds)
        @expose
        def in_thread(seconds):
            threading.Thread(target=work, args=("thread", seconds), name="busy").start()
    """
    AWAITED = THREADS + """
        @expose
        async def to_thread(seconds):
            await asyncio.get_running_loop().run_in_executor(None, work, "loop", seconds)
    """

    def test_threads_that_do_not_end_do_not_keep_the_worker(self):
        for function, kind in (("in_executor", "executor"), ("in_thread", "thread")):
            with self.subTest(function=function), Host(self.THREADS) as host:
                host.call(function, 600)
                host.out.wait(kind + " has begun")
                self.assertEqual(host.drain(), 0)
                self.assertEqual(host.out.end(), kind + " has begun\nteardown\natexit\n")
                self.assertIn("although these threads still run: ", host.err.end())

    def test_nor_does_one_that_a_cancelled_coroutine_has_left(self):
        for end in (lambda host: host.drain(), lambda host: host.hang_up()):
            with Host(self.AWAITED) as host:
                call = host.start_call("to_thread", 600)
                host.out.wait("loop has begun")
                self.assertEqual(host.cancel(call).code, _frames.INTERRUPTED)
                self.assertEqual(end(host), 0)
                self.assertEqual(host.out.end(), "loop has begun\nteardown\natexit\n")
                self.assertIn("asyncio_0", host.err.end())

    def test_threads_that_end_are_waited_for(self):
        with Host(self.AWAITED) as host:
            for function, kind in (("in_executor", "executor"), ("in_thread", "thread")):
                host.call(function, 0.1)
            host.call("to_thread", 0)
            self.assertEqual(host.drain(), 0)
            output = host.out.end()
            for kind in ("executor", "thread", "loop"):
                self.assertIn(kind + " has ended", output)
            self.assertTrue(output.endswith("atexit\n"))
            self.assertEqual(host.err.end(), "")


if __name__ == "__main__":
    unittest.main()
