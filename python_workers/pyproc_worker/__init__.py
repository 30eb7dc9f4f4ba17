"""The package that a Python worker of actix-pyproc imports.

    from pyproc_worker import expose, run_worker

    @expose
    def predict(req):
        return {"result": req["value"] * 2}

    if __name__ == "__main__":
        run_worker()

The host runs the script in each worker process of the pool and calls the exposed functions by
name. Importing this package has no effect on the process: it starts no thread, installs no signal
handler and does not configure logging.
"""

import sys

if sys.version_info < (3, 9):
    raise ImportError("pyproc_worker needs Python 3.9 or later; this is Python %d.%d.%d" % sys.version_info[:3])

from ._context import CallCancelled, CallContext, CancelEvent, current_call
from ._registry import expose, setup, teardown
from ._worker import run_worker

__all__ = [
    "CallCancelled",
    "CallContext",
    "CancelEvent",
    "current_call",
    "expose",
    "run_worker",
    "setup",
    "teardown",
]

__version__ = "0.1.0"
