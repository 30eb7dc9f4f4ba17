"""Workers that leave their process group, or that a debugger holds."""

import ctypes
import os
import signal
import subprocess
import sys

from pyproc_worker import expose

PR_SET_PTRACER = 0x59616D61
TRACER = """
import ctypes, sys, time
if ctypes.CDLL(None, use_errno=True).ptrace(0x4206, int(sys.argv[1]), None, None):
    sys.exit("cannot trace: %d" % ctypes.get_errno())
print("traces", flush=True)
time.sleep(600)
"""


def apart(*command, **options):
    return subprocess.Popen(command, preexec_fn=os.setpgrp, stdin=subprocess.DEVNULL, **options)


@expose
def leave_group(session):
    """Joins the process group of a child and returns the child's PID."""
    child = apart("sleep", "600", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.setpgid(0, child.pid)
    if session:
        os.setsid()
    assert os.getpgrp() != os.getpid() or session
    return child.pid


@expose
def stick():
    """Reacts neither to SIGTERM nor to an interrupt."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sum(range(10**12))


@expose
def be_held():
    """Lets a process trace it and returns the PID of that process.

    The tracer never waits for it, so no other process sees its end.
    """
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    tracer = apart(sys.executable, "-c", TRACER, str(os.getpid()), stdout=subprocess.PIPE)
    assert tracer.stdout.readline() == b"traces\n"
    return tracer.pid


@expose
def signals():
    """The blocked and the ignored signals, from /proc."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return [int(fields[name], 16) for name in ("SigBlk", "SigIgn")]
