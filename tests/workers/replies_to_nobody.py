"""Sends replies to calls that were never made, and then the right one."""

import os

from pyproc_worker import _worker, expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    for call in (1, 1023, 0xFFFFFFFF):
        _worker._worker.channel.sendall(b"\0\0\0\x09\x20\x01\0\0" + call.to_bytes(4, "big") + b"7")
    return "right"


@expose
def double(value):
    return value * 2
