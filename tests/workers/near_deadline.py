"""Functions that end at about the time of their deadline, and neighbours without a deadline."""

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
    """Returns a wrong sum or raises if it is interrupted at any point."""
    total = 0
    for n in range(value % 2000):
        total += n
    return total
