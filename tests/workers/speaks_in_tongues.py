"""Puts terminal control sequences and line breaks wherever text of a worker is shown."""

import logging
import os
import sys

from pyproc_worker import expose

NASTY = "\x1b]0;title\x07 \x9b2J \u202eback\u2066 \rover\nerror: forged"


@expose
def speak():
    print("out " + NASTY)
    print("err " + NASTY, file=sys.stderr)
    logging.getLogger("db\nerror: forged").warning("logged %s", NASTY)
    raise type("Odd\nerror: forged", (Exception,), {})("raised " + NASTY)


@expose
def die():
    print("err " + NASTY, file=sys.stderr, flush=True)
    os._exit(7)


@expose(name="na\x1b[2Jme\nerror: forged")
def other(text="\x1b[2J\u202e"):
    """Doc \x1b[2J\u202e.

    Rest.
    """
