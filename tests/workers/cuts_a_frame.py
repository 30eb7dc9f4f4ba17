"""Sends the beginning of a frame and closes its socket."""

import os
import time

from pyproc_worker import _worker, expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    _worker._worker.channel.sendall(b"\0\0\0\x6c\x20\x01\0\0\0\0\0\0cut")
    _worker._worker.channel.socket.shutdown(2)
    time.sleep(60)


@expose
def double(value):
    return value * 2
