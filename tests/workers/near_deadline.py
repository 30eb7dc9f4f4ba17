"""Functions that end about when their deadline passes, and neighbours that have none."""

import time

from pyproc_worker import expose


@expose
def sleeps(seconds, value):
    time.sleep(seconds)
    return value * 2


@expose
def loops(seconds, value):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    return value * 2


@expose
def neighbour(value):
    """Fails if it is interrupted, wherever that is."""
    total = 0
    for n in range(value % 2000):
        total += n
    return total
