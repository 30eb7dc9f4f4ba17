"""A function for each way in which a call can end."""

import os
import signal
import sys
import time

from pyproc_worker import CallCancelled, current_call, expose


@expose
def predict(req: dict) -> dict:
    """Doubles the value."""
    return {"result": req["value"] * 2}


@expose
def echo(value):
    return value


@expose
def pid():
    return os.getpid()


@expose
def raises(message):
    raise ValueError(message)


@expose
def leaves(status):
    sys.exit(status)


@expose
def an_object():
    return object()


@expose
def large(size):
    return bytes(size)


@expose
def ran(path, name):
    """Appends a line to a file, which proves that the call ran."""
    with open(path, "a") as file:
        file.write(name + "\n")
    return name


@expose
def fails_after_the_first(path, name):
    """Creates a file, and fails if it exists."""
    with open(path, "x") as file:
        file.write(name)


@expose
def touch_and_sleep(path, seconds):
    """Appends a line to a file when it starts, then sleeps."""
    with open(path, "a") as file:
        file.write("%d\n" % os.getpid())
    time.sleep(seconds)
    return os.getpid()


@expose
def touch_and_wait(path, go):
    """Appends a line to a file when it starts, then waits until another file exists."""
    with open(path, "a") as file:
        file.write("%d\n" % os.getpid())
    while not os.path.exists(go):
        time.sleep(0.001)
    return os.getpid()


@expose
def touch_and_die(path, how):
    """Appends a line to a file for each attempt, then ends its process."""
    with open(path, "a") as file:
        file.write("%d\n" % os.getpid())
    print("last words", file=sys.stderr, flush=True)
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSEGV)


@expose
def cleans_up(path, seconds):
    """Logs its start to a file, sleeps, and logs how it was interrupted."""
    with open(path, "a") as file:
        file.write("begun\n")
    try:
        time.sleep(seconds)
    except CallCancelled:
        with open(path, "a") as file:
            file.write("cancelled %s\n" % current_call().cancelled)
        raise


@expose
def swallows(seconds):
    """Catches every interrupt and continues."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            time.sleep(0.01)
        except CallCancelled:
            pass


@expose
def deaf():
    """Runs in C, where Python handles no signal."""
    return sum(range(10**11))
