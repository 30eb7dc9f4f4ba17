"""Recurses without end."""

import os

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    return deeper(log)


@expose
def double(value):
    return value * 2


def deeper(log):
    return deeper(log)
