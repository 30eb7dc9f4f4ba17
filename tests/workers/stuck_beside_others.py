"""A coroutine that blocks the event loop in C, and one that waits."""

import asyncio

from pyproc_worker import expose


@expose
async def waits(path):
    open(path, "w").close()
    await asyncio.sleep(600)


@expose
async def stuck():
    return sum(range(10**12))
