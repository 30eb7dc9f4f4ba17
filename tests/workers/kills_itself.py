"""Ends as if memory had run out: SIGKILL while the call runs."""

import os
import signal

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    os.kill(os.getpid(), signal.SIGKILL)


@expose
def double(value):
    return value * 2
