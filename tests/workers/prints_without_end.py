"""Prints forever from a thread, and answers calls at the same time."""

import sys
import threading

from pyproc_worker import expose


def flood():
    while True:
        print("x" * 500)
        print("y" * 500, file=sys.stderr)


threading.Thread(target=flood, daemon=True).start()


@expose
def answer():
    return 42
