"""A call that cannot be interrupted, in a worker that has started another process."""

import os
import signal
import subprocess
import sys
import time

from pyproc_worker import expose


@expose
def stuck():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    print("processes %d %d" % (os.getpid(), child.pid), file=sys.stderr, flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG, signal.SIGTERM])
    time.sleep(3600)
