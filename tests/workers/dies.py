"""Ends its process in a call: by a signal, or by os._exit."""

import os
import signal
import sys

from pyproc_worker import expose


@expose
def killed():
    print("the last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


@expose
def exits():
    os._exit(7)
