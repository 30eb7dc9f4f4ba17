"""Runs code that misuses what a worker inherits; FDS maps names to its descriptors."""

import array
import ctypes
import fcntl
import mmap
import os
import socket
import struct
import threading
import time

from pyproc_worker import expose

# The worker has removed the variables from os.environ, but not from the initial environment.
with open("/proc/self/environ", "rb") as _file:
    _VARIABLES = dict(item.split(b"=", 1) for item in _file.read().split(b"\0") if b"=" in item)
FDS = {name: int(_VARIABLES[b"PYPROC_%s_FD" % name.upper().encode()]) for name in
       ("socket", "table", "stacks", "log", "package", "life")}
SOCKET, TABLE, STACKS, LOG, PACKAGE, LIFE = FDS.values()
# A Pong, and a reply to a call that was never made.
PONG = struct.pack(">IBBHI", 8, 34, 0, 0, 7)
STRAY = struct.pack(">IBBHI", 10, 32, 1, 0, 0xFFFFFFFF) + b"42"
TABLE_SIZE = 64 + 10 * 1024


def table():
    return mmap.mmap(TABLE, TABLE_SIZE)


def refused(action, *arguments):
    """Calls something that must fail."""
    try:
        action(*arguments)
    except OSError:
        return
    raise AssertionError("%r%r was allowed" % (action, arguments))


def for_ever(action, *arguments):
    """Repeats a call on a thread."""

    def run():
        while True:
            action(*arguments)

    threading.Thread(target=run, daemon=True).start()


def behind(action, *arguments, session=False):
    """Repeats a call in a child that keeps all descriptors, until the call fails."""
    if os.fork() == 0:
        if session:
            os.setsid()
        try:
            while True:
                action(*arguments)
        finally:
            os._exit(0)


def in_c():
    sum(range(10**12))


def pass_descriptors(count):
    """Sends descriptors with frames that have no effect."""
    connection = socket.socket(fileno=os.dup(SOCKET))
    for _ in range(count):
        connection.sendmsg([PONG], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [TABLE] * 20))])
    connection.detach()


def own_socket():
    return socket.socket(fileno=os.dup(SOCKET))


@expose
def misuse(code):
    exec(code, globals())


@expose
def double(value):
    return value * 2
