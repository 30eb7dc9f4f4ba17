"""The functions of the quickstart. This is an ordinary script: print() and imports work."""

import asyncio
import os

from pyproc_worker import expose


@expose
def predict(req: dict) -> dict:
    """Doubles the value."""
    return {"result": req["value"] * 2}


@expose
def divide(a: float, b: float) -> float:
    """Divides a by b."""
    return a / b


@expose
async def fetch(seconds: float) -> str:
    """Waits, as for a database; many calls wait concurrently."""
    await asyncio.sleep(seconds)
    return "fetched"


@expose
def crash():
    """Kills the process, as a bug in a C library would."""
    os.abort()
