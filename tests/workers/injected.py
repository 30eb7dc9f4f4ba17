"""A worker without faults, for faults that are injected."""

import os
import time

from pyproc_worker import expose


@expose
def double(value):
    return value * 2


@expose
def work(log, seconds, go=None):
    """Logs its start to a file, and works for a while, and until a file exists if one is given."""
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    time.sleep(seconds)
    while go and not os.path.exists(go):
        time.sleep(0.001)
    return "right"
