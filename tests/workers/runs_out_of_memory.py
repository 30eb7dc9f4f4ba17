"""Allocates more memory than its process may have."""

import os
import resource

from pyproc_worker import expose


@expose
def fault(log):
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
    return len(bytearray(1 << 40))


@expose
def double(value):
    return value * 2
