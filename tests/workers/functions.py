"""Functions that work, one for each kind of input and output."""

import os
import sys
import time

from pyproc_worker import expose


@expose
def predict(req: dict) -> dict:
    """Doubles the value.

    Lists show only the first line.
    """
    return {"result": req["value"] * 2}


@expose
async def later(seconds: float = 0.0) -> str:
    """Returns after a delay."""
    import asyncio

    await asyncio.sleep(seconds)
    return "done"


@expose
def identity(value=None):
    return value


@expose
def reverse(data: bytes) -> bytes:
    return bytes(reversed(data))


@expose
def environment(name):
    return os.environ.get(name)


@expose
def argv():
    return sys.argv


@expose
def say(text):
    print(text)
    print(text, file=sys.stderr)


@expose
def where():
    return os.getpid()


@expose
def rest(seconds):
    """Reports its start on standard error, and sleeps."""
    print("resting in %d" % os.getpid(), file=sys.stderr, flush=True)
    time.sleep(seconds)
    return "rested"


@expose
def titles():
    with open("/proc/self/comm") as name, open("/proc/self/cmdline") as arguments:
        return [name.read().strip(), arguments.read().split("\0")[1:3], sys.argv == [__file__]]
