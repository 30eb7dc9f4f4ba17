"""Continues after the interrupt at its deadline."""

import os
import time

from pyproc_worker import CallCancelled, expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    while True:
        try:
            time.sleep(60)
        except CallCancelled:
            pass


@expose
def double(value):
    return value * 2
