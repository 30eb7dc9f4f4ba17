"""Coroutines that wait, and one that kills its process."""

import asyncio
import os
import signal
import time

from pyproc_worker import expose


@expose
async def waits(path, name, seconds):
    """Appends a line to a file, then waits."""
    with open(path, "a") as file:
        file.write(name + "\n")
    await asyncio.sleep(seconds)
    return name


@expose
async def kills(path, seconds):
    """Appends a line to a file, waits, and kills its process."""
    with open(path, "a") as file:
        file.write("kills\n")
    await asyncio.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
