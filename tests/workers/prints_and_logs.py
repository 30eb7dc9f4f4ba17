"""Prints to both streams and logs."""

import logging
import sys

from pyproc_worker import expose


@expose
def speak():
    print("to standard output")
    print("\x1b[31mto standard error", file=sys.stderr)
    logging.getLogger("app").warning("logged\nin two lines")
    logging.getLogger("app").debug("below the level of the pool")


@expose
def flood():
    """Prints 4 MiB, more than the pipe and the host's queue hold."""
    for _ in range(4096):
        print("x" * 1023)
    return 42
