"""A host in Python that follows docs/protocol.md, to test real worker processes."""

import importlib.util
import io
import json
import marshal
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from pyproc_worker import _codec, _frames  # noqa: E402

CAP = 30.0
INTERRUPT = signal.SIGURG
STACKS = signal.SIGRTMIN + 2
BOOTSTRAP = (
    "import os,sys;del sys.path[0];"
    "sys.path.insert(0,'/proc/%d/fd/%s'%(os.getpid(),os.environ['PYPROC_PACKAGE_FD']));"
    "from pyproc_worker._main import main;main()"
)

PREDICT = """
from pyproc_worker import expose, run_worker

@expose
def predict(req):
    return {"result": req["value"] * 2}
"""


def _package():
    # As the host builds it: the sources, and what this interpreter compiles them to.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        folder = os.path.join(ROOT, "pyproc_worker")
        for file in sorted(os.listdir(folder)):
            if file.endswith(".py") and file not in ("_in_process.py", "testing.py"):
                with open(os.path.join(folder, file), "rb") as opened:
                    source = opened.read()
                name = "pyproc_worker/" + file
                head = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + importlib.util.source_hash(source)
                archive.writestr(name + "c", head + marshal.dumps(compile(source, name, "exec", dont_inherit=True)))
                archive.writestr(name, source)
    descriptor = os.memfd_create("pyproc_worker")
    os.write(descriptor, buffer.getvalue())
    return descriptor


_package_fd = None


def restore_codecs(test):
    """Undo at the end of a test what it changes about the codecs."""
    for functions in (_codec.LOADS, _codec.DUMPS):
        test.addCleanup(functions.__setitem__, slice(None), functions[:])


def repository(path):
    """Return the path of a file of the repository; the source distribution has a copy of it."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "repository", path)


class Answer:
    """A Reply or an Error that the worker sent."""

    def __init__(self, kind, codec, service, call, payload):
        self.kind, self.codec, self.service, self.call, self.payload = kind, codec, service, call, payload

    @property
    def code(self):
        """The error code, or None for a Reply."""
        return self.codec if self.kind == _frames.ERROR else None

    @property
    def value(self):
        """The decoded result; fails the test if the answer is an error."""
        if self.kind != _frames.REPLY:
            raise AssertionError("error %d: %s" % (self.codec, self.payload.decode()))
        return json.loads(self.payload) if self.codec == _frames.CODEC_JSON else self.payload

    @property
    def error(self):
        """The payload of an Error."""
        assert self.kind == _frames.ERROR, self.payload
        return json.loads(self.payload)


class Lines:
    """Collects the output of a pipe; `wait` blocks until it contains a text."""

    def __init__(self, file):
        self._file = file
        self.text = ""
        self._condition = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            data = os.read(self._file.fileno(), 65536)
            with self._condition:
                self.text += data.decode("utf-8", "replace")
                self._open = bool(data)
                self._condition.notify_all()
            if not data:
                self._file.close()
                return

    def wait(self, text):
        """Wait until the output contains `text`; return the output so far."""
        with self._condition:
            self._condition.wait_for(lambda: text in self.text or not self._open, CAP)
            assert text in self.text, self.text
            return self.text

    def end(self):
        """Wait for the end of the pipe; return its whole output."""
        self._thread.join(CAP)
        return self.text


class Host:
    """A worker process and the host's ends of its descriptors. Use it as a context manager."""

    def __init__(self, script=None, module=None, cwd=None, env=None, directory=None, **hello):
        self.directory = directory or tempfile.mkdtemp(prefix="pyproc-test-")
        if script is not None and not os.path.isabs(script):
            self.path = os.path.join(self.directory, "worker.py")
            with open(self.path, "w") as file:
                file.write(textwrap.dedent(script))
            target = {"path": self.path}
        else:
            target = {"path": script} if module is None else {"module": module}
        self.slots = hello.get("slots", 1024)
        self._condition = threading.Condition()
        self._answers = {}
        self.frames = []
        self.order = []
        self.ended = False
        self._sequence = 0
        self._start(target, cwd, env, hello)

    def _start(self, target, cwd, env, hello):
        global _package_fd
        if _package_fd is None:
            _package_fd = _package()
        table = os.memfd_create("table")
        os.ftruncate(table, 64 + 10 * self.slots)
        self.table = mmap.mmap(table, 64 + 10 * self.slots)
        self.table[:4] = b"PYP1"
        self.socket, theirs = socket.socketpair()
        stacks_read, stacks = os.pipe()
        log_read, log = os.pipe()
        passed = {
            "PYPROC_SOCKET_FD": theirs.fileno(),
            "PYPROC_TABLE_FD": table,
            "PYPROC_STACKS_FD": stacks,
            "PYPROC_LOG_FD": log,
            "PYPROC_PACKAGE_FD": _package_fd,
        }
        options = {
            "protocol": 1,
            "max_frame": _frames.DEFAULT_MAX_FRAME,
            "slots": self.slots,
            "slot": 0,
            "generation": 1,
            "flush_us": 200,
            "busy_poll_us": 0,
            "interrupt_signal": int(INTERRUPT),
            "stacks_signal": int(STACKS),
            "log_level": "info",
            "worker": target,
        }
        options.update(hello)
        self.socket.sendall(_frames.frame(_frames.HELLO, 1, 0, 0, json.dumps(options).encode()))
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYPROC_"))}
        environment.update(env or {})
        environment.update({k: str(v) for k, v in passed.items()})
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOTSTRAP],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=list(passed.values()),
            env=environment,
            cwd=cwd or self.directory,
            start_new_session=True,
        )
        theirs.close()
        for descriptor in (table, stacks, log):
            os.close(descriptor)
        self.out, self.err = Lines(self.process.stdout), Lines(self.process.stderr)
        self.stacks, self.log = Lines(open(stacks_read, "rb", 0)), Lines(open(log_read, "rb", 0))
        self.pid = self.process.pid
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        reader = _frames.FrameReader()
        while True:
            try:
                data = self.socket.recv(1 << 16)
            except OSError:
                data = b""
            with self._condition:
                for found in reader.feed(data) if data else ():
                    self.frames.append(found)
                    kind, codec, function, call, payload = found
                    if kind in (_frames.REPLY, _frames.ERROR):
                        assert call not in self._answers, "two answers to one call"
                        self._answers[call] = Answer(kind, codec, function, call, bytes(payload))
                        self.order.append(call)
                self.ended = self.ended or not data
                self._condition.notify_all()
            if not data:
                return

    def wait_for(self, condition, what="it"):
        """Wait until a condition on this host holds."""
        with self._condition:
            self._condition.wait_for(lambda: condition() or self.ended, CAP)
            assert condition(), "%s did not come (ended: %s)\n%s" % (what, self.ended, self.err.text)

    def frame_of(self, kind):
        """Wait for the first frame of a kind; return its decoded payload, or None if empty."""
        self.wait_for(lambda: any(f[0] == kind for f in self.frames), "frame %d" % kind)
        payload = next(f[4] for f in self.frames if f[0] == kind)
        return json.loads(payload) if payload else None

    def ready(self):
        """Wait for Ready; return it."""
        ready = self.frame_of(_frames.READY)
        self.names = [f["name"] for f in ready["functions"]]
        return ready

    def failed(self):
        """Wait for Failed and the exit status 1; return the payload of Failed."""
        failure = self.frame_of(_frames.FAILED)
        assert self.process.wait(CAP) == 1
        return failure

    def encode_call(self, function, argument, codec=_frames.CODEC_JSON, metadata=None, deadline=None):
        """Prepare the slot of a call; return (call id, frame)."""
        if not hasattr(self, "names"):
            self.ready()
        self._sequence += 1
        call = (self._sequence // self.slots + 1) << 10 | self._sequence % self.slots
        index = call & 1023
        self.table[64 + index] = self.table[64 + self.slots + index] = 0
        at = 64 + 2 * self.slots + 8 * index
        self.table[at : at + 8] = int((deadline or 0) * 1e9).to_bytes(8, sys.byteorder)
        payload = json.dumps(argument).encode() if codec == _frames.CODEC_JSON else (argument or b"")
        if metadata is not None:
            block = json.dumps(metadata).encode()
            payload = len(block).to_bytes(2, "big") + block + payload
            codec |= _frames.METADATA
        number = function if isinstance(function, int) else self.names.index(function)
        return call, _frames.frame(_frames.CALL, codec, number, call, payload)

    def start_call(self, function, argument=None, **options):
        """Send a call; return its id."""
        call, data = self.encode_call(function, argument, **options)
        self.socket.sendall(data)
        return call

    def answer(self, call):
        """Wait for the answer to a call."""
        self.wait_for(lambda: call in self._answers, "the answer to %d" % call)
        return self._answers[call]

    def answered(self, call):
        """Whether a call has been answered."""
        with self._condition:
            return call in self._answers

    def call(self, function, argument=None, **options):
        """Send a call and wait for its answer."""
        return self.answer(self.start_call(function, argument, **options))

    def phase(self, call):
        """The phase of a call in the slot table."""
        return self.table[64 + (call & 1023)]

    def mark(self, call, mark):
        """Set the mark of a call."""
        self.table[64 + self.slots + (call & 1023)] = mark

    def wait_phase(self, call, phase):
        """Wait until a call has reached a phase."""
        until = time.monotonic() + CAP
        while self.phase(call) < phase:
            assert time.monotonic() < until and self.process.poll() is None, self.err.text
            time.sleep(0.0005)

    def signal(self, number=INTERRUPT):
        """Send a signal to the worker."""
        os.kill(self.pid, number)

    def cancel(self, call):
        """Interrupt a call as the host does: mark it, and signal until it has ended."""
        self.mark(call, 1)
        until = time.monotonic() + CAP
        while not self.answered(call) and time.monotonic() < until and self.process.poll() is None:
            self.signal()
            with self._condition:
                self._condition.wait_for(lambda: call in self._answers, 0.02)
        return self.answer(call)

    def cancel_running(self, function, argument=None, **options):
        """Start and interrupt a call; return its answer.

        Starts another call if the mark came before the start.
        """
        while True:
            call = self.start_call(function, argument, **options)
            self.wait_phase(call, 1)
            answer = self.cancel(call)
            if answer.code != _frames.SKIPPED:
                return answer

    def cancel_begun(self, function):
        """Interrupt a call when its function has printed that it has begun; return its answer."""
        call = self.start_call(function)
        self.out.wait(function + " has begun")
        return self.cancel(call)

    def drain(self):
        """Send Drain; return the exit status."""
        self.socket.sendall(_frames.frame(_frames.DRAIN, 0, 0, 0))
        return self.process.wait(CAP)

    def hang_up(self):
        """Close the socket for writing, which ends the worker; return the exit status."""
        self.socket.shutdown(socket.SHUT_WR)
        return self.process.wait(CAP)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(CAP)
        self.socket.close()
        for lines in (self.out, self.err, self.stacks, self.log):
            lines.end()
        self.table.close()


class HostTest(unittest.TestCase):
    """Tests that share one worker, `self.host`, which runs the script `WORKER`."""

    WORKER = None
    HELLO = {}

    @classmethod
    def setUpClass(cls):
        cls.host = Host(cls.WORKER, **cls.HELLO)
        cls.host.ready()

    @classmethod
    def tearDownClass(cls):
        cls.host.__exit__()

    def start(self, function, argument=None):
        """Start a call; return its id when it is running."""
        call = self.host.start_call(function, argument)
        self.host.wait_phase(call, 1)
        return call
