"""JSON-RPC 2.0: `{"jsonrpc": "2.0", "id": 1, "method": "predict", "params": {…}}`, one per line."""

from json import dumps, loads

from _serve import METHODS, serve


def session():
    rest = b""

    def on_data(data):
        nonlocal rest
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        return "".join([answer(line) for line in lines]).encode()

    return on_data


def answer(line):
    request = loads(line)
    try:
        outcome = {"result": METHODS[request["method"]](request["params"])}
    except Exception as error:
        outcome = {"error": {"code": -32000, "message": repr(error)}}
    return dumps({"jsonrpc": "2.0", "id": request["id"], **outcome}) + "\n"


if __name__ == "__main__":
    serve(session)
