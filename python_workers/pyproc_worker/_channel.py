"""The socket and the slot table that a worker inherits (docs/protocol.md, sections 1 and 5)."""

import _socket
import os
import time

from ._frames import HEADER_SIZE, INDEX_MASK, LENGTH_BASE, HEADER, check_length

_MAGIC = b"PYP1"
_TABLE_HEAD = 64


class Table:
    """The slot table: for each call in flight its phase, its mark and its deadline."""

    def __init__(self, descriptor, slots):
        import mmap

        if not 0 < slots <= INDEX_MASK + 1:
            raise ValueError("a slot table cannot have %d slots" % slots)
        self._map = mmap.mmap(descriptor, _TABLE_HEAD + 10 * slots)
        view = memoryview(self._map)
        if view[:4] != _MAGIC:
            raise ValueError("the slot table does not begin with %r" % _MAGIC)
        marks, deadlines = _TABLE_HEAD + slots, _TABLE_HEAD + 2 * slots
        self.phase = view[_TABLE_HEAD:marks]
        self.marks = view[marks:deadlines]
        self.deadlines = view[deadlines:]

    def release(self):
        """Make later accesses raise ValueError: a forked child must not write to the table."""
        for view in (self.phase, self.marks, self.deadlines):
            view.release()


class Channel:
    """The blocking socket to the host."""

    def __init__(self, descriptor):
        os.set_blocking(descriptor, True)
        self.socket = _socket.socket(fileno=descriptor)
        self.recv = self.socket.recv
        self.sendall = self.socket.sendall

    def poll_before_blocking(self, nanoseconds):
        """Make `recv` spin for this long before it blocks, to avoid the wake-up of an idle core."""
        receive, clock, flag = self.socket.recv, time.monotonic_ns, _socket.MSG_DONTWAIT

        def recv(size):
            until = clock() + nanoseconds
            while True:
                try:
                    return receive(size, flag)
                except BlockingIOError:
                    if clock() > until:
                        return receive(size)

        self.recv = recv

    def read_frame(self, max_frame):
        """Return (kind, payload) of the next frame and read nothing after it; raises EOFError."""
        head = self.receive_exactly(b"", HEADER_SIZE)
        length, kind, _codec, _function, _call = HEADER.unpack(head)
        check_length(length, max_frame)
        return kind, self.receive_exactly(b"", length - LENGTH_BASE)

    def receive_exactly(self, begun, size):
        """Return `size` bytes that start with `begun`; raises EOFError if the socket ends first."""
        missing = size - len(begun)
        if missing == 0:
            return begun
        # The kernel writes directly into the bytes object that the function receives.
        data = self.socket.recv(missing, _socket.MSG_WAITALL)
        if len(data) == missing and not begun:
            return data
        parts = [begun, data]
        missing -= len(data)
        while missing:
            if not data:
                raise EOFError("the socket ended inside a frame")
            data = self.socket.recv(missing, _socket.MSG_WAITALL)
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def send_large(self, header, payload):
        """Send a header and a payload without joining them first."""
        sent = self.socket.sendmsg([header, payload])
        if sent < len(header):
            self.sendall(header[sent:])
            sent = len(header)
        if sent < len(header) + len(payload):
            self.sendall(memoryview(payload)[sent - len(header) :])

    def stop_reading(self):
        """Make `recv` return what has arrived and then the end; safe in a signal handler."""
        try:
            self.socket.shutdown(_socket.SHUT_RD)
        except OSError:
            pass

    def close(self):
        """Close the socket; the host then reads the end of the stream."""
        self.socket.close()
