"""Forks, and both processes return from the function."""

import os

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    os.fork()
    return "right"


@expose
def double(value):
    return value * 2
