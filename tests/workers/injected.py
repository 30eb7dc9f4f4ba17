"""A worker without faults, for faults that are injected."""

import os
import time

from pyproc_worker import expose


@expose
def double(value):
    return value * 2


@expose
def work(log, seconds):
    """Logs its start to a file, and works for a while."""
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    time.sleep(seconds)
    return "right"
