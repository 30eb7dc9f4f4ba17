"""The functions of injected.py as coroutines."""

import asyncio
import os

from pyproc_worker import expose


@expose
async def double(value):
    return value * 2


@expose
async def work(log, seconds, go=None):
    """Logs its start to a file, and works for a while, and until a file exists if one is given."""
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    await asyncio.sleep(seconds)
    while go and not os.path.exists(go):
        await asyncio.sleep(0.001)
    return "right"
