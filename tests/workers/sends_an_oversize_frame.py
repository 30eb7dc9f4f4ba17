"""Sends a frame that is one byte longer than the limit."""

import os
import time

from pyproc_worker import _worker, expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    length = _worker._worker.hello["max_frame"] + 1
    _worker._worker.channel.sendall(length.to_bytes(4, "big") + b"\x20\x01\0\0\0\0\0\0")
    time.sleep(60)


@expose
def double(value):
    return value * 2
