"""The JSON libraries that the configuration can name. The main item is `functions`."""

from _functools import partial


def functions(name):
    """Return (load, dump) of orjson or msgspec; raises ImportError if it is not installed.

    Both dumps refuse bytes, which are a payload of their own.
    """
    if name == "orjson":
        import orjson

        # Its own encoding of dataclasses leaves out fields and adds others.
        return orjson.loads, partial(orjson.dumps, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    if name != "msgspec":
        raise ValueError("unknown JSON library %r" % (name,))
    import msgspec

    encode = msgspec.json.Encoder().encode

    def dump(value):
        if isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError("bytes are not JSON")
        return encode(value)

    return msgspec.json.Decoder().decode, dump
