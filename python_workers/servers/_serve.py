"""The common part of the servers: a Unix socket, a thread per connection, a write per read."""

import os
import socket
import sys
import threading

CHUNK = 64 * 1024


def predict(req):
    return {"result": req["value"] * 2}


METHODS = {"predict": predict}


def listen():
    """Listen on the path in the first argument, report that to the client, return the socket."""
    path = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    print("listening", flush=True)
    _leave_with_parent()
    return listener


def serve(new_session):
    """Serve each connection with `new_session()`, a function from received to sent bytes."""
    listener = listen()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_talk, args=(connection, new_session()), daemon=True).start()


def _talk(connection, session):
    with connection:
        while data := connection.recv(CHUNK):
            answer = session(data)
            if answer:
                connection.sendall(answer)


def _leave_with_parent():
    def wait():
        # The client has the other end open.
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
