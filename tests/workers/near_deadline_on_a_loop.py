"""The functions of near_deadline.py as coroutines; `loops` blocks the event loop."""

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
    """Returns a wrong sum or raises if it is interrupted at any point."""
    total = 0
    for n in range(value % 2000):
        total += n
        if n % 500 == 0:
            await asyncio.sleep(0)
    return total
