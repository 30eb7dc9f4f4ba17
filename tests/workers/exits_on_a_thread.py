"""Exits from another thread while the call runs."""

import os
import threading
import time

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    threading.Thread(target=os._exit, args=(3,)).start()
    time.sleep(60)


@expose
def double(value):
    return value * 2
