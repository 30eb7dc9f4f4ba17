"""What the servers have in common: a Unix socket, a thread for each connection, a write for each read."""

import os
import socket
import sys
import threading

CHUNK = 64 * 1024


def predict(req):
    return {"result": req["value"] * 2}


METHODS = {"predict": predict}


def listen():
    """Return a socket that listens where the first argument says, and tell the client that it does."""
    path = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    print("listening", flush=True)
    _leave_with_parent()
    return listener


def serve(new_session):
    """Serve each connection with `new_session()`, a function from what was read to what is to be written."""
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
        # The client holds the other end.
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
