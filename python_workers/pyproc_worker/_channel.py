"""What a worker inherits (docs/protocol.md, section 1): the socket, the slot table, the other pipes."""

import _socket
import os
import time

from ._frames import HEADER_SIZE, INDEX_MASK, LENGTH_BASE, HEADER, check_length

_MAGIC = b"PYP1"
_TABLE_HEAD = 64


class Table:
    """The slot table: a byte of phase, a byte of mark and a deadline for each call in flight."""

    def __init__(self, descriptor, slots):
        import mmap

        if not 0 < slots <= INDEX_MASK + 1:
            raise ValueError("a slot table of %d slots" % slots)
        self._map = mmap.mmap(descriptor, _TABLE_HEAD + 10 * slots)
        view = memoryview(self._map)
        if view[:4] != _MAGIC:
            raise ValueError("the slot table does not begin with %r" % _MAGIC)
        marks, deadlines = _TABLE_HEAD + slots, _TABLE_HEAD + 2 * slots
        self.phase = view[_TABLE_HEAD:marks]
        self.marks = view[marks:deadlines]
        self.deadlines = view[deadlines:]

    def release(self):
        """Make every later access raise ValueError: a forked child must not write what the host reads."""
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
        """Let `recv` spin for this long before it blocks, which spares the wake-up of an idle core."""
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
        """Return (kind, payload) of the next frame without reading beyond it; raises EOFError."""
        head = self.receive_exactly(b"", HEADER_SIZE)
        length, kind, _codec, _function, _call = HEADER.unpack(head)
        check_length(length, max_frame)
        return kind, self.receive_exactly(b"", length - LENGTH_BASE)

    def receive_exactly(self, begun, size):
        """Return `size` bytes that start with `begun`; raises EOFError if the socket ends before."""
        missing = size - len(begun)
        if missing == 0:
            return begun
        # The kernel fills the whole of the bytes object that is then handed to the function.
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
        """Make the running or the next `recv` return what is there and then the end; for signal handlers."""
        try:
            self.socket.shutdown(_socket.SHUT_RD)
        except OSError:
            pass

    def close(self):
        """Close the socket, which tells the host that nothing more comes."""
        self.socket.close()
