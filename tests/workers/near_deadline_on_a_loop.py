"""As near_deadline.py, on asyncio; `loops` blocks the event loop."""

import asyncio
import time

from pyproc_worker import expose


@expose
async def sleeps(seconds, value):
    await asyncio.sleep(seconds)
    return value * 2


@expose
async def loops(seconds, value):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    return value * 2


@expose
async def neighbour(value):
    """Fails if it is interrupted, wherever that is."""
    total = 0
    for n in range(value % 2000):
        total += n
        if n % 500 == 0:
            await asyncio.sleep(0)
    return total
