"""The wire of the Go project pyproc: a 4-byte length and `{"id", "method", "body"}` in JSON."""

from json import dumps, loads
from struct import Struct

from _serve import METHODS, serve

LENGTH = Struct(">I")


def session():
    rest = b""

    def on_data(data):
        nonlocal rest
        data = rest + data
        start, out = 0, []
        while len(data) - start >= 4:
            (length,) = LENGTH.unpack_from(data, start)
            end = start + 4 + length
            if end > len(data):
                break
            body = answer(data[start + 4 : end])
            out.append(LENGTH.pack(len(body)))
            out.append(body)
            start = end
        rest = data[start:]
        return b"".join(out)

    return on_data


def answer(message):
    request = loads(message)
    try:
        response = {"id": request["id"], "ok": True, "body": METHODS[request["method"]](request["body"])}
    except Exception as error:
        response = {"id": request["id"], "ok": False, "error": repr(error)}
    return dumps(response).encode()


if __name__ == "__main__":
    serve(session)
