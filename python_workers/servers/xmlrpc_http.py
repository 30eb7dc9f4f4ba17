"""XML-RPC over HTTP/1.1 with keep-alive, as the standard library serves it, on a Unix socket."""

import threading
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

from _serve import METHODS, listen


class Handler(SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"
    rpc_paths = ()
    # A Unix socket has no Nagle algorithm to disable.
    disable_nagle_algorithm = False
    wbufsize = -1

    def log_message(self, *_):
        pass

    def address_string(self):
        return "client"


class Server(SimpleXMLRPCDispatcher):
    def __init__(self):
        super().__init__(allow_none=True)
        self.logRequests = False
        self._send_traceback_header = False


def main():
    server = Server()
    for method in METHODS.values():
        server.register_function(method)
    listener = listen()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=Handler, args=(connection, "client", server), daemon=True).start()


if __name__ == "__main__":
    main()
