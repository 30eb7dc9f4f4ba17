"""Dies between the return of the function and the reply: while the result is encoded."""

import os

from pyproc_worker import expose


class Deadly(dict):
    def items(self):
        os._exit(3)


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    return Deadly(value=1)


@expose
def double(value):
    return value * 2
