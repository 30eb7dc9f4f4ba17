"""Sends bytes that are not a frame while the call runs."""

import os
import time

from pyproc_worker import _worker, expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    _worker._worker.channel.sendall(b"\xffgarbage")
    time.sleep(60)


@expose
def double(value):
    return value * 2
