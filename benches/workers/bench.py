"""Functions for the benches."""

import time

from pyproc_worker import expose, run_worker


@expose
def predict(req):
    return {"result": req["value"] * 2}


@expose
def echo(value):
    return value


@expose
def wait_us(us):
    """Sleep, like a function that waits for a database; the core is free meanwhile."""
    time.sleep(us / 1e6)
    return us


@expose
def burn_us(us):
    """Use this much CPU time, however long that takes."""
    until = time.thread_time_ns() + us * 1000
    while time.thread_time_ns() < until:
        pass
    return us


if __name__ == "__main__":
    run_worker()
