"""Functions that most tests of one process call."""

import asyncio
import os
import signal
import subprocess
import sys
import time

from pyproc_worker import current_call, expose, run_worker


@expose
def echo(req):
    return req


@expose
def add(a, b=1):
    """Adds two numbers.

    Not the first line."""
    return a + b


@expose
def subtract(a, b):
    return a - b


@expose
def fail(message):
    raise ValueError(message)


@expose
def environment(name):
    return os.environ.get(name)


@expose
def prefix():
    return sys.prefix


@expose
def descriptors():
    return {name: os.environ.get(name) for name in os.environ if name.startswith("PYPROC_") and name.endswith("_FD")}


@expose
def sleep(seconds):
    time.sleep(seconds)
    return "slept"


@expose
def wait_for(path):
    """Waits until a file exists."""
    while not os.path.exists(path):
        time.sleep(0.001)


@expose
def spin(seconds):
    """Runs in C, where Python handles no signal."""
    size = 1 << 16
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        size *= 2
        sum(range(size << 12))


@expose
def leave(status):
    print("leaving", file=sys.stderr, flush=True)
    os._exit(status)


@expose
def kill(number):
    os.kill(os.getpid(), number)


@expose
def close_socket():
    for fd in sockets():
        os.close(fd)
    time.sleep(60)


@expose
def garbage(data):
    for fd in sockets():
        os.write(fd, data)
    time.sleep(60)


def sockets():
    """The socket to the host, and the ones that wake asyncio."""
    links = ["/proc/self/fd/" + name for name in os.listdir("/proc/self/fd")]
    return [int(os.path.basename(link)) for link in links if os.path.lexists(link) and "socket" in os.readlink(link)]


@expose
def grandchild(session=False):
    """Starts a process that keeps standard error open."""
    return subprocess.Popen(["sleep", "60"], start_new_session=session).pid


@expose
def flood(megabytes):
    line = "x" * 99
    for _ in range(megabytes * 10_000):
        print(line)
        print(line, file=sys.stderr)
    return "done"


@expose
def big(size):
    return "x" * size


@expose
def not_json():
    return object()


@expose
def trace():
    return current_call().metadata.get("traceparent")


@expose
async def wait(seconds):
    await asyncio.sleep(seconds)
    return "waited"


present = 0


@expose
async def meet(count):
    """Returns when this many calls of it have started."""
    global present
    present += 1
    while present < count:
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    run_worker()
