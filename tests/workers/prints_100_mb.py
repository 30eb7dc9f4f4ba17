"""Prints 100 MB while it loads and 100 MB in a call: half in short lines, half in one line."""

import sys

from pyproc_worker import expose


def flood():
    for _ in range(500_000):
        sys.stdout.write("x" * 99 + "\n")
    sys.stdout.write("y" * 50_000_000 + "\n")


flood()


@expose
def answer():
    flood()
    return 42
