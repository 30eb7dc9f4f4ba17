"""Raises SystemExit, which ends the call but not the process."""

import os
import sys

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    sys.exit(3)


@expose
def double(value):
    return value * 2
