"""Dies of SIGKILL before the worker is ready."""

import os
import signal

os.kill(os.getpid(), signal.SIGKILL)
