"""Announces a frame and does not send it, so the host takes every later reply for part of it."""

from pyproc_worker import _worker, expose


@expose
def fault(log):
    _worker._worker.channel.sendall(b"\x00\x10\x00\x00\x20\x01\0\0\xff\xff\xff\xff")
    return "right"


@expose
def double(value):
    return value * 2
