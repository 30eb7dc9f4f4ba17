"""Prints without end, from a thread of its own, and answers calls meanwhile."""

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
