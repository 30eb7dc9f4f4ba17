"""The worker of a data scientist."""

import asyncio
from dataclasses import dataclass
from typing import Optional

from pyproc_worker import current_call, expose, run_worker, setup

weights: dict[str, float] = {}


@dataclass
class House:
    rooms: int
    area: float
    city: Optional[str] = None


@setup
def load() -> None:
    weights.update(rooms=10.0, area=2.0)


@expose
def price(house: House, factor: float = 1.0) -> float:
    """Return the price of a house."""
    return factor * (weights["rooms"] * house.rooms + weights["area"] * house.area)


@expose
def predict(req):
    """An un-annotated function, as most begin."""
    return {"result": req["value"] * 2}


@expose
async def slow(value: int) -> list[int]:
    """Return the value twice."""
    await asyncio.sleep(0)
    current_call().logger.info("slow")
    return [value, value]


if __name__ == "__main__":
    run_worker()
