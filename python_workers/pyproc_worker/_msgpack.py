"""Encodes and decodes MessagePack, with the `msgpack` package if it is installed.

Both implementations give the same results: strings are `str`, binaries are `bytes`, arrays are
`list`, timestamps are decoded as aware `datetime`s, other extensions as `ExtType`s. The functions
here do not recurse, so no nesting can overflow the stack; a value that is nested deeper than 1000
is rejected.
"""

from _functools import partial
from _struct import Struct
from _struct import error as StructError

_DEEPEST = 1000
_TIMESTAMP = -1

_U8, _U16, _U32, _U64 = Struct(">B"), Struct(">H"), Struct(">I"), Struct(">Q")
_I8, _I16, _I32, _I64 = Struct(">b"), Struct(">h"), Struct(">i"), Struct(">q")
_F32, _F64 = Struct(">f"), Struct(">d")
_HEAD_U8, _HEAD_U16, _HEAD_U32, _HEAD_U64 = Struct(">BB"), Struct(">BH"), Struct(">BI"), Struct(">BQ")
_HEAD_I8, _HEAD_I16, _HEAD_I32, _HEAD_I64 = Struct(">Bb"), Struct(">Bh"), Struct(">Bi"), Struct(">Bq")
_HEAD_F64 = Struct(">Bd")


class ExtType:
    """A MessagePack extension: its type code and its bytes. Only codes 0 to 127 can be encoded."""

    __slots__ = ("code", "data")

    def __init__(self, code, data):
        self.code = code
        self.data = bytes(data)

    def __eq__(self, other):
        return type(other) is ExtType and (self.code, self.data) == (other.code, other.data)

    def __hash__(self):
        return hash((self.code, self.data))

    def __repr__(self):
        return "ExtType(%r, %r)" % (self.code, self.data)


def choose():
    """Return (pack, unpack): those of `msgpack` if its C extension is installed, else ours."""
    try:
        import msgpack
        # Its fallback in plain Python recurses and is not faster than ours.
        from msgpack import _cmsgpack
    except ImportError:
        return pack, unpack

    def default(value):
        if type(value) is ExtType:
            return msgpack.ExtType(value.code, value.data)
        raise TypeError("can not serialize %r object" % type(value).__name__)

    packer = _cmsgpack.Packer(use_bin_type=True, default=default)
    unpack_options = {"raw": False, "strict_map_key": False, "timestamp": 3, "ext_hook": ExtType}
    try:
        packer.pack([1, object()])
    except TypeError:
        # After an error, its buffer must be empty again.
        if packer.pack([1]) == b"\x91\x01":
            return packer.pack, partial(msgpack.unpackb, **unpack_options)
    return pack, unpack


def pack(value):
    """Return a value as MessagePack; raises TypeError, ValueError or OverflowError."""
    out = bytearray()
    waiting = []
    items = iter((value,))
    while True:
        for item in items:
            inner = _pack_one(out, item)
            if inner is not None:
                if len(waiting) >= _DEEPEST:
                    raise ValueError("recursion limit exceeded")
                waiting.append(items)
                items = inner
                break
        else:
            if not waiting:
                return bytes(out)
            items = waiting.pop()


def _pack_one(out, value):
    # Appends a scalar, or the head of a container, and returns the iterator over its items.
    kind = type(value)
    if kind is str or isinstance(value, str):
        data = value.encode()
        _pack_head(out, len(data), (0xA0, 32), (0xD9, 0xDA, 0xDB))
        out += data
    elif value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif kind is int or isinstance(value, int):
        _pack_int(out, value)
    elif kind is float or isinstance(value, float):
        out += _HEAD_F64.pack(0xCB, value)
    elif kind is dict or isinstance(value, dict):
        _pack_head(out, len(value), (0x80, 16), (None, 0xDE, 0xDF))
        return (part for pair in value.items() for part in pair)
    elif isinstance(value, (list, tuple)):
        _pack_head(out, len(value), (0x90, 16), (None, 0xDC, 0xDD))
        return iter(value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = value if kind is bytes else bytes(value)
        _pack_head(out, len(data), None, (0xC4, 0xC5, 0xC6))
        out += data
    else:
        _pack_extension(out, value)
    return None


def _pack_head(out, size, fixed, heads):
    if fixed is not None and size < fixed[1]:
        out.append(fixed[0] | size)
    elif size < 1 << 8 and heads[0] is not None:
        out += _HEAD_U8.pack(heads[0], size)
    elif size < 1 << 16:
        out += _HEAD_U16.pack(heads[1], size)
    elif size < 1 << 32:
        out += _HEAD_U32.pack(heads[2], size)
    else:
        raise ValueError("too long for MessagePack: %d" % size)


def _pack_int(out, value):
    if 0 <= value:
        if value < 0x80:
            out.append(value)
        elif value < 1 << 8:
            out += _HEAD_U8.pack(0xCC, value)
        elif value < 1 << 16:
            out += _HEAD_U16.pack(0xCD, value)
        elif value < 1 << 32:
            out += _HEAD_U32.pack(0xCE, value)
        elif value < 1 << 64:
            out += _HEAD_U64.pack(0xCF, value)
        else:
            raise OverflowError("Integer value out of range")
    elif value >= -32:
        out += _I8.pack(value)
    elif value >= -(1 << 7):
        out += _HEAD_I8.pack(0xD0, value)
    elif value >= -(1 << 15):
        out += _HEAD_I16.pack(0xD1, value)
    elif value >= -(1 << 31):
        out += _HEAD_I32.pack(0xD2, value)
    elif value >= -(1 << 63):
        out += _HEAD_I64.pack(0xD3, value)
    else:
        raise OverflowError("Integer value out of range")


def _pack_extension(out, value):
    if type(value) is not ExtType:
        raise TypeError("can not serialize %r object" % type(value).__name__)
    code, data = value.code, value.data
    if not 0 <= code <= 127:
        raise ValueError("an extension code must be 0 to 127, not %r" % (code,))
    size = len(data)
    if size in (1, 2, 4, 8, 16):
        out.append(0xD4 + size.bit_length() - 1)
    else:
        _pack_head(out, size, None, (0xC7, 0xC8, 0xC9))
    out += _I8.pack(code)
    out += data


def unpack(payload):
    """Return the value of a MessagePack payload; raises ValueError or TypeError."""
    data = payload if type(payload) is bytes else bytes(payload)
    try:
        value, end = _unpack_from(data)
    except (IndexError, StructError):
        raise ValueError("incomplete MessagePack") from None
    if end != len(data):
        raise ValueError("unpack(b) received extra data.")
    return value


def _unpack_from(data):
    position = 0
    # For each open container: itself, the number of missing values, and its current key or _NO_KEY.
    stack = []
    while True:
        head = data[position]
        position += 1
        container = None
        if head < 0x80:
            value = head
        elif head >= 0xE0:
            value = head - 256
        elif 0xA0 <= head < 0xC0:
            value, position = _text(data, position, head & 31)
        elif head < 0xA0 or 0xDC <= head <= 0xDF:
            container, size, position = _container(data, position, head)
            value = container
        elif head in _SCALARS:
            struct = _SCALARS[head]
            value = struct.unpack_from(data, position)[0]
            position += struct.size
        elif head in _CONSTANTS:
            value = _CONSTANTS[head]
        else:
            value, position = _sized(data, position, head)
        if container is not None and size:
            if len(stack) >= _DEEPEST:
                raise ValueError("recursion limit exceeded")
            stack.append([container, size, _NO_KEY])
            continue
        while True:
            if not stack:
                return value, position
            top = stack[-1]
            if type(top[0]) is list:
                top[0].append(value)
            elif top[2] is _NO_KEY:
                hash(value)
                top[2] = value
                break
            else:
                top[0][top[2]] = value
                top[2] = _NO_KEY
            top[1] -= 1
            if top[1]:
                break
            value = stack.pop()[0]


_NO_KEY = object()
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_SCALARS = {
    0xCA: _F32,
    0xCB: _F64,
    0xCC: _U8,
    0xCD: _U16,
    0xCE: _U32,
    0xCF: _U64,
    0xD0: _I8,
    0xD1: _I16,
    0xD2: _I32,
    0xD3: _I64,
}
# For each head, the struct of the size, and what follows it.
_SIZED = {
    0xD9: (_U8, "str"),
    0xDA: (_U16, "str"),
    0xDB: (_U32, "str"),
    0xC4: (_U8, "bin"),
    0xC5: (_U16, "bin"),
    0xC6: (_U32, "bin"),
    0xC7: (_U8, "ext"),
    0xC8: (_U16, "ext"),
    0xC9: (_U32, "ext"),
}


def _container(data, position, head):
    if head < 0xA0:
        size = head & 15
        is_map = head < 0x90
    else:
        struct = _U32 if head & 1 else _U16
        size = struct.unpack_from(data, position)[0]
        position += struct.size
        is_map = head >= 0xDE
    # Each element has at least one byte, so a false size is rejected here.
    if size * (2 if is_map else 1) > len(data) - position:
        raise ValueError("incomplete MessagePack")
    return ({} if is_map else []), size, position


def _text(data, position, size):
    return str(_take(data, position, size), "utf-8"), position + size


def _take(data, position, size):
    taken = data[position : position + size]
    if len(taken) != size:
        raise ValueError("incomplete MessagePack")
    return taken


def _sized(data, position, head):
    if 0xD4 <= head <= 0xD8:
        size, kind = 1 << (head - 0xD4), "ext"
    elif head in _SIZED:
        struct, kind = _SIZED[head]
        size = struct.unpack_from(data, position)[0]
        position += struct.size
    else:
        raise ValueError("0x%02x is not a MessagePack type" % head)
    if kind == "str":
        return _text(data, position, size)
    if kind == "bin":
        return _take(data, position, size), position + size
    code = _I8.unpack_from(data, position)[0]
    return _extension(code, _take(data, position + 1, size)), position + 1 + size


def _extension(code, data):
    if code != _TIMESTAMP:
        return ExtType(code, data)
    import datetime

    if len(data) == 4:
        seconds, nanoseconds = _U32.unpack(data)[0], 0
    elif len(data) == 8:
        both = _U64.unpack(data)[0]
        seconds, nanoseconds = both & (1 << 34) - 1, both >> 34
    elif len(data) == 12:
        nanoseconds, seconds = _U32.unpack(data[:4])[0], _I64.unpack(data[4:])[0]
    else:
        raise ValueError("a timestamp of %d bytes" % len(data))
    if nanoseconds > 999_999_999:
        raise ValueError("a timestamp of %d nanoseconds" % nanoseconds)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    try:
        return epoch + datetime.timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except OverflowError:
        raise ValueError("a timestamp that datetime cannot hold") from None
