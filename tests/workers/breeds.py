"""Starts a child, writes both PIDs, and works for longer than any test, in one of several ways."""

import os
import signal
import subprocess
import time

from pyproc_worker import expose


@expose
def work(log, how):
    child = subprocess.Popen(["sleep", "600"])
    with open(log + ".part", "w") as file:
        file.write("%d\n%d\n" % (os.getpid(), child.pid))
    os.rename(log + ".part", log)
    if how == "in c":
        sum(range(10**12))
    elif how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(600)


@expose
def double(value):
    return value * 2
