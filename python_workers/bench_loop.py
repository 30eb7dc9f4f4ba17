"""Measures the cost of one call in the serving loop: `python bench_loop.py [calls] [batch]`.

One process writes `predict({"value": 42})` in batches, another reads the replies, and the loop runs
between them on a socket pair. No Rust is involved, so the pool cannot be faster than this.
"""

import os
import platform
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pyproc_worker import _codec, _frames  # noqa: E402
from pyproc_worker._calls import Calls  # noqa: E402
from pyproc_worker._channel import Channel  # noqa: E402
from pyproc_worker._context import STATE  # noqa: E402
from pyproc_worker._sync_loop import serve  # noqa: E402

FLUSH_NS = 200_000


class _Table:
    def __init__(self):
        import mmap

        view = memoryview(mmap.mmap(-1, 64 + 10 * 1024))
        self.phase, self.marks, self.deadlines = view[64:1088], view[1088:2112], view[2112:]


def predict(req):
    return {"result": req["value"] * 2}


def _child(other_end, work):
    pid = os.fork()
    if pid == 0:
        try:
            other_end.close()
            work()
        finally:
            os._exit(0)
    return pid


def _write(end, calls, batch):
    payload = b'{"value": 42}'
    blob = b"".join(_frames.frame(_frames.CALL, _codec.CODEC_JSON, 0, i & 1023, payload) for i in range(batch))
    for _ in range(calls // batch):
        end.sendall(blob)
    end.shutdown(socket.SHUT_WR)


def _read(end):
    while end.recv(1 << 20):
        pass


def measure(calls, batch):
    """Return the (wall, cpu) seconds that it takes to serve `calls` calls in batches of `batch`."""
    host, worker = socket.socketpair()
    children = [_child(worker, lambda: _write(host, calls, batch)), _child(worker, lambda: _read(host))]
    host.close()
    table = _Table()
    STATE.marks, STATE.deadlines = table.marks, table.deadlines
    channel = Channel(worker.detach())
    wall, cpu = time.perf_counter(), time.process_time()
    serve(channel, Calls([predict], ["predict"], table, _frames.DEFAULT_MAX_FRAME, []), FLUSH_NS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    channel.close()
    for child in children:
        os.waitpid(child, 0)
    return wall, cpu


def main():
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    batches = [int(sys.argv[2])] if len(sys.argv) > 2 else [1, 16, 64, 256]
    print("CPython %s, %d calls" % (platform.python_version(), calls))
    print("%8s %12s %14s %14s" % ("batch", "calls/s", "wall us/call", "cpu us/call"))
    for batch in batches:
        measure(calls // 10, batch)
        wall, cpu = min(measure(calls, batch) for _ in range(3))
        print("%8d %12.0f %14.2f %14.2f" % (batch, calls / wall, wall / calls * 1e6, cpu / calls * 1e6))


if __name__ == "__main__":
    main()
