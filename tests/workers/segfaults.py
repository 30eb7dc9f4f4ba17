"""Reads a null pointer in C while the call runs."""

import ctypes
import os

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    ctypes.string_at(0)


@expose
def double(value):
    return value * 2
