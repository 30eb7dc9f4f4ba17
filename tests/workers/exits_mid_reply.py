"""Sends half of the reply and exits."""

import os

from pyproc_worker import _worker, expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    _worker._worker.channel.sendall(b"\x00\x00\x00\x20\x20\x01\x00\x00")
    os._exit(3)


@expose
def double(value):
    return value * 2
