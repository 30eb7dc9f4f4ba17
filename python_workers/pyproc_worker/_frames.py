"""Encodes and decodes frames (docs/protocol.md, section 2). The main structure is `FrameReader`."""

from _struct import Struct

HEADER = Struct(">IBBHI")
HEADER_SIZE = 12
# The bytes of a header that the length field counts.
LENGTH_BASE = 8
DEFAULT_MAX_FRAME = 64 * 1024 * 1024 + LENGTH_BASE

HELLO = 1
WELCOME = 2
READY = 3
FAILED = 4
CALL = 16
DRAIN = 17
PING = 18
REPLY = 32
ERROR = 33
PONG = 34
FAULT = 63

CODEC_NONE = 0
CODEC_JSON = 1
CODEC_MSGPACK = 2
CODEC_BYTES = 3
# A bit of the codec byte of a Call: a metadata block precedes the argument.
METADATA = 0x80
# Another: the call has no argument.
ABSENT = 0x20

RAISED = 1
UNDECODABLE = 2
UNENCODABLE = 3
UNKNOWN_FUNCTION = 4
SKIPPED = 5
INTERRUPTED = 6
TOO_LARGE = 7
INVALID_ARGUMENT = 8

# The bits of a call id that are the index in the slot table.
INDEX_MASK = 1023
# The longest service time that its field has as a plain number of microseconds.
EXACT = 32767
# A longer frame is received into, and sent from, a separate buffer.
LARGE = 64 * 1024


class ProtocolError(Exception):
    """The host broke the protocol; the connection cannot be used any more."""


def frame(kind, codec, function, call, payload=b""):
    """Return one frame as bytes."""
    return HEADER.pack(len(payload) + LENGTH_BASE, kind, codec, function, call) + payload


def check_length(length, max_frame):
    """Raise ProtocolError unless a frame may have this length."""
    if length < LENGTH_BASE:
        raise ProtocolError("a frame of length %d is shorter than its header" % length)
    if length > max_frame:
        raise ProtocolError("a frame of length %d is longer than max_frame, %d" % (length, max_frame))


def service_time(microseconds):
    """Return the service time field for a duration, rounded up; the greatest one if too long."""
    if microseconds <= EXACT:
        return microseconds
    # A floating-point number: 5 bits of exponent, 10 of mantissa behind a leading 1.
    shift = microseconds.bit_length() - 11
    field = 0x8000 + (shift - 5 << 10) + (-(-microseconds >> shift) - 1024)
    return field if field < 0xFFFF else 0xFFFF


def split_metadata(payload):
    """Return (metadata bytes, argument bytes) of a Call that has the METADATA bit."""
    if len(payload) < 2:
        raise ValueError("the metadata block has no length")
    end = 2 + int.from_bytes(payload[:2], "big")
    if len(payload) < end:
        raise ValueError("the metadata block is longer than the frame")
    return bytes(payload[2:end]), payload[end:]


class FrameReader:
    """Turns received bytes into frames; an incomplete frame waits for more bytes.

    A large frame gets one buffer of exactly its size, after its length has been checked. While it
    is incomplete, receive into `room()` and report the count to `filled()`.
    """

    def __init__(self, max_frame=DEFAULT_MAX_FRAME):
        self.max_frame = max_frame
        self._rest = b""
        self._head = None
        self._large = None
        self._have = 0

    def feed(self, data):
        """Return the frames that `data` completes, as (kind, codec, function, call, payload)."""
        frames = []
        if self._large is not None:
            count = min(len(self._large) - self._have, len(data))
            self.room()[:count] = data[:count]
            frames.extend(self.filled(count))
            data = data[count:]
        if self._rest:
            data = self._rest + data
            self._rest = b""
        start, size = 0, len(data)
        while size - start >= HEADER_SIZE:
            length, kind, codec, function, call = HEADER.unpack_from(data, start)
            check_length(length, self.max_frame)
            end = start + 4 + length
            if end > size:
                if length <= LARGE:
                    break
                self._head = (kind, codec, function, call)
                self._large = bytearray(length - LENGTH_BASE)
                self._have = size - start - HEADER_SIZE
                self._large[: self._have] = data[start + HEADER_SIZE :]
                return frames
            frames.append((kind, codec, function, call, data[start + HEADER_SIZE : end]))
            start = end
        if start < size:
            self._rest = data[start:]
        return frames

    def room(self):
        """Return a view of the missing part of a large frame, or None."""
        if self._large is None:
            return None
        return memoryview(self._large)[self._have :]

    def filled(self, count):
        """Count bytes that were received into `room()`; return the frame if it is complete."""
        self._have += count
        if self._have < len(self._large):
            return []
        complete = (*self._head, self._large)
        self._head = self._large = None
        return [complete]

    def at_boundary(self):
        """Return whether the stream may end here: no frame is incomplete."""
        return not self._rest and self._large is None
