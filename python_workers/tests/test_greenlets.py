"""Workers that use gevent or eventlet: with fakes of both, and with gevent if it is installed."""

import importlib.util
import os
import sys
import tempfile
import types
import unittest
from unittest import mock

from pyproc_worker import CallCancelled, _frames, _greenlets
from pyproc_worker._context import STATE

from .bytecodes import use_as_call_site
from .harness import PREDICT, Host

EVENTLET = """
import time

def sleep(seconds=0):
    pass

sleep.__module__ = "eventlet.greenthread"

def monkey_patch():
    time.sleep = sleep
"""

WORKER = """
import socket, threading, time
""" + PREDICT + """
@expose
def sleep(_):
    print("sleep has begun", flush=True)
    time.sleep(600)

@expose
def receive(_):
    ends = socket.socketpair()
    print("receive has begun", flush=True)
    ends[0].recv(1)

@expose
def join(_):
    thread = threading.Thread(target=time.sleep, args=(600,))
    thread.start()
    print("join has begun", flush=True)
    thread.join()
"""


class EventletTest(unittest.TestCase):
    def directory(self):
        directory = tempfile.mkdtemp(prefix="pyproc-test-")
        os.mkdir(os.path.join(directory, "eventlet"))
        with open(os.path.join(directory, "eventlet", "__init__.py"), "w") as file:
            file.write(EVENTLET)
        return directory

    def test_a_worker_that_it_has_patched_says_that_calls_cannot_be_interrupted(self):
        with Host("import eventlet\neventlet.monkey_patch()\n" + WORKER, directory=self.directory()) as host:
            self.assertEqual(host.call("predict", {"value": 1}).value, {"result": 2})
            self.assertEqual(host.drain(), 0)
            self.assertEqual(host.err.end().count("eventlet has patched this worker: a call that waits cannot"), 1)

    def test_one_that_only_imports_it_says_nothing(self):
        with Host("import eventlet\n" + WORKER, directory=self.directory()) as host:
            self.assertEqual(host.cancel_begun("sleep").code, _frames.INTERRUPTED)
            self.assertEqual(host.drain(), 0)
            self.assertEqual(host.err.end(), "")


class Greenlet:
    """A fake of a greenlet that waits in `frame`."""

    def __init__(self, frame):
        self.gr_frame = frame
        self.thrown = []

    def throw(self, exception):
        self.thrown.append(exception)


class GeventTest(unittest.TestCase):
    """The handler, with fakes of the call's greenlet, of the hub and of its loop's callbacks."""

    CALL = 1 << 10 | 3

    def setUp(self):
        self.callbacks = []
        use_as_call_site(self, self.site)
        self.home = Greenlet(self.site(sys._getframe))
        self.hub = Greenlet(None)
        self.current = self.home
        loop = types.SimpleNamespace(run_callback=self.callbacks.append)
        modules = {
            "greenlet": types.SimpleNamespace(getcurrent=lambda: self.current),
            "gevent": types.SimpleNamespace(get_hub=lambda: types.SimpleNamespace(loop=loop)),
        }
        for patch in (
            mock.patch.dict(sys.modules, modules),
            mock.patch.multiple(STATE, marks=bytearray(8), armed=self.CALL, raised_call=-1, raised_at=0, cooperative=-1),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        self.handler = _greenlets.handler()

    def site(self, function):
        return (lambda: function())()

    def run_hub(self):
        waiting, self.callbacks[:] = list(self.callbacks), []
        for callback in waiting:
            callback()

    def signal(self, frame=None):
        self.handler(23, frame)

    def test_a_call_that_waits_is_interrupted_by_the_hub(self):
        self.current = self.hub
        self.signal()
        self.assertEqual(self.callbacks, [])
        STATE.marks[3] = 1
        self.signal()
        self.assertEqual(self.home.thrown, [])
        self.run_hub()
        self.assertEqual([type(thrown) for thrown in self.home.thrown], [CallCancelled])
        # It has time for its cleanup.
        self.signal()
        self.run_hub()
        self.assertEqual(len(self.home.thrown), 1)

    def test_a_call_that_has_ended_when_the_hub_runs_is_not(self):
        self.current = self.hub
        STATE.marks[3] = 1
        for armed, frame in ((-1, self.home.gr_frame), (1 << 10 | 4, self.home.gr_frame), (self.CALL, None)):
            STATE.armed = self.CALL
            self.signal()
            STATE.armed, self.home.gr_frame = armed, frame
            self.run_hub()
        self.assertEqual(self.home.thrown, [])

    def test_a_call_that_runs_is_interrupted_where_it_is(self):
        STATE.marks[3] = 1
        with self.assertRaises(CallCancelled):
            self.signal(self.home.gr_frame)
        self.assertEqual(self.callbacks, [])


class RealGeventTest(unittest.TestCase):
    def test_real_workers_where_it_is_installed(self):
        installed = importlib.util.find_spec("gevent") is not None
        for function in ("sleep", "receive", "join") if installed else ():
            with self.subTest(function=function):
                with Host("from gevent import monkey\nmonkey.patch_all()\n" + WORKER) as host:
                    self.assertEqual(host.cancel_begun(function).code, _frames.INTERRUPTED)
                    self.assertEqual(host.call("predict", {"value": 1}).value, {"result": 2})
                    self.assertEqual(host.drain(), 0)


if __name__ == "__main__":
    unittest.main()
