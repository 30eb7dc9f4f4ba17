"""Calls os._exit while the call runs."""

import os

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    os._exit(3)


@expose
def double(value):
    return value * 2
