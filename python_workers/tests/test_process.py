"""A worker as a process: its log, its stacks and its children."""

import json
import signal
import unittest

from pyproc_worker import current_call

from .harness import STACKS, Host


class ProcessTest(unittest.TestCase):
    def test_log_records_reach_the_host_as_lines(self):
        worker = """
            import logging
            from pyproc_worker import expose, current_call
            log = logging.getLogger("app")
            log.info("loading")
            @expose
            def work(n):
                log.debug("not at this level")
                log.warning("n is %d", n)
                current_call().logger.error("from the call")
                try:
                    1 / 0
                except ZeroDivisionError:
                    log.exception("failed")
                log.info("x" * 200000)
                log.info("\\ud800")
        """
        with Host(worker) as host:
            call = host.call("work", 5).call
            host.drain()
            lines = [json.loads(line) for line in host.log.end().splitlines()]
            self.assertEqual(lines[0], {"level": 20, "logger": "app", "message": "loading", "call": None})
            self.assertEqual(lines[1], {"level": 30, "logger": "app", "message": "n is 5", "call": call})
            self.assertEqual(lines[2]["call"], call)
            self.assertIn("ZeroDivisionError", lines[3]["message"])
            self.assertTrue(60000 < len(lines[4]["message"]) < 65536)
            self.assertEqual(lines[5]["message"], "\\ud800")

    def test_log_records_of_a_script_that_imports_logging_late(self):
        worker = """
            import sys
            assert "logging" not in sys.modules or True
            from pyproc_worker import expose
            @expose
            def work(n):
                import logging.handlers
                logging.getLogger("late").debug("here")
        """
        with Host(worker, log_level="debug") as host:
            host.call("work", 5)
            host.log.wait('"here"')

    def test_the_stacks_signal_writes_all_stacks(self):
        worker = """
            import time
            from pyproc_worker import expose
            @expose
            def stuck_here(_):
                print("begun")
                time.sleep(100)
        """
        with Host(worker) as host:
            host.start_call("stuck_here")
            host.out.wait("begun")
            host.signal(STACKS)
            self.assertIn("worker.py", host.stacks.wait("stuck_here"))

    def test_a_segfault_prints_the_stack(self):
        worker = """
            import faulthandler
            from pyproc_worker import expose
            @expose
            def crash(_): faulthandler._sigsegv()
        """
        with Host(worker) as host:
            host.start_call("crash")
            self.assertEqual(host.process.wait(30), -signal.SIGSEGV)
            self.assertIn("in crash", host.err.end())

    def test_a_child_that_forks_off_cannot_serve(self):
        worker = """
            import os, sys
            from pyproc_worker import expose
            @expose
            def fork(how):
                pid = os.fork()
                if pid:
                    return os.waitpid(pid, 0)[1] >> 8
                if how == "exit":
                    sys.exit(7)
                if how == "raise":
                    raise ValueError("in the child")
                return "from the child"
        """
        with Host(worker) as host:
            for how, status in [("return", 0), ("exit", 7), ("raise", 1)]:
                answer = host.call("fork", how)
                self.assertEqual(answer.value, status)
                self.assertEqual(host.phase(answer.call), 2)
            host.err.wait("in the child")

    def test_multiprocessing_works_inside_a_worker(self):
        worker = """
            import multiprocessing
            from pyproc_worker import current_call, expose, run_worker
            def square(n):
                return n * n
            def forever(connection):
                connection.send("begun")
                while True: pass
            @expose
            def squares(method):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    return pool.map(square, [1, 2, 3])
            @expose
            def terminate(method):
                ours, theirs = multiprocessing.Pipe()
                process = multiprocessing.get_context(method).Process(target=forever, args=(theirs,))
                process.start()
                # Before its exec, a spawned child still has its parent's handlers.
                if method != "fork":
                    ours.recv()
                process.terminate()
                process.join(20)
                return process.exitcode
            %s
        """
        for ending in ("run_worker()", "if __name__ == '__main__': run_worker()"):
            with self.subTest(ending=ending), Host(worker % ending) as host:
                for method in ("fork", "spawn", "forkserver"):
                    self.assertEqual(host.call("squares", method).value, [1, 4, 9])
                    self.assertEqual(host.call("terminate", method).value, -15)
                self.assertEqual(host.drain(), 0)

    def test_subprocesses_do_not_inherit_the_descriptors(self):
        worker = """
            import os, subprocess, sys
            from pyproc_worker import expose
            @expose
            def descriptors(_):
                program = "import os; print(sorted(os.listdir('/proc/self/fd')), [k for k in os.environ if 'PYPROC' in k])"
                return subprocess.run([sys.executable, "-c", program], close_fds=False, capture_output=True, text=True).stdout
        """
        with Host(worker) as host:
            self.assertEqual(host.call("descriptors").value, "['0', '1', '2', '3'] []\n")

    def test_busy_polling_serves_as_well(self):
        worker = "from pyproc_worker import expose\n@expose\ndef predict(req): return {'result': req['value'] * 2}\n"
        with Host(worker, busy_poll_us=200) as host:
            for n in range(100):
                self.assertEqual(host.call("predict", {"value": n}).value, {"result": 2 * n})
            self.assertEqual(host.hang_up(), 0)

    def test_a_worker_loads_only_what_its_functions_need(self):
        worker = """
            import sys
            from pyproc_worker import expose

            @expose
            def loaded(_):
                return list(sys.modules)
        """
        with Host(worker) as host:
            modules = host.call("loaded", 1).value
        for name in ("_named_tuples", "_results", "_spread", "_terminal", "_types", "testing"):
            self.assertNotIn("pyproc_worker." + name, modules)

    def test_calls_outside_of_a_call(self):
        call = current_call()
        self.assertEqual((call.call_id, call.deadline, call.remaining(), call.cancelled), (None, None, None, False))
        self.assertEqual(call.metadata, {})


if __name__ == "__main__":
    unittest.main()
