"""As injected.py, on asyncio."""

import asyncio
import os

from pyproc_worker import expose


@expose
async def double(value):
    return value * 2


@expose
async def work(log, seconds):
    """Writes down that it runs, and works for a while."""
    os.write(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"ran\n")
    await asyncio.sleep(seconds)
    return "right"
