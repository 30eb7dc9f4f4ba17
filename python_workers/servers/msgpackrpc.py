"""MessagePack-RPC: `[0, id, "predict", [argument]]`, answered with `[1, id, error, result]`."""

import msgpack

from _serve import METHODS, serve


def session():
    unpacker, pack = msgpack.Unpacker(), msgpack.Packer().pack

    def on_data(data):
        unpacker.feed(data)
        return b"".join([pack(answer(request)) for request in unpacker])

    return on_data


def answer(request):
    _type, call, method, params = request
    try:
        return [1, call, None, METHODS[method](*params)]
    except Exception as error:
        return [1, call, repr(error), None]


if __name__ == "__main__":
    serve(session)
