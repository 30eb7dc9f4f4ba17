"""Runs in C, where Python handles no interrupt."""

import os

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    return sum(range(10**12))


@expose
def double(value):
    return value * 2
