"""Coroutines that run concurrently."""

import asyncio

from pyproc_worker import expose


@expose
async def naps(path, seconds):
    """The coroutine version of cleans_up in contract.py."""
    with open(path, "a") as file:
        file.write("begun\n")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        with open(path, "a") as file:
            file.write("cancelled\n")
        raise
    return "awake"
