"""Functions that run side by side on asyncio."""

import asyncio

from pyproc_worker import expose


@expose
async def naps(path, seconds):
    """As cleans_up, on the event loop."""
    with open(path, "a") as file:
        file.write("begun\n")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        with open(path, "a") as file:
            file.write("cancelled\n")
        raise
    return "awake"
