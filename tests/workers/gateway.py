"""Functions with type hints, and one that returns the metadata of its call."""

import os
from typing import Literal, Optional

from pyproc_worker import current_call, expose


@expose
def scale(value: float, by: Optional[int] = None, mode: Literal["up", "down"] = "up") -> dict[str, float]:
    """Scales a value."""
    return {"value": value * (by or 2)}


@expose
def join(left: list[str], right: list[str]) -> list[str]:
    return left + right


@expose
def size(data: bytes) -> int:
    return len(data)


@expose
def metadata():
    return current_call().metadata


@expose
async def pid(_=None) -> int:
    return os.getpid()
