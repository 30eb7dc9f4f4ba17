"""A worker that does nothing wrong by itself: faults are injected."""

import os
import time

from pyproc_worker import expose


@expose
def double(value):
    return value * 2


@expose
def work(log, seconds):
    """Writes down that it runs, and works for a while."""
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    time.sleep(seconds)
    return "right"
