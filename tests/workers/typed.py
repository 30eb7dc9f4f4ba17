"""Annotated functions for typed calls."""

from typing import Optional

from pyproc_worker import expose


@expose
def predict(req: dict) -> dict:
    """Doubles the value."""
    return {"result": req["value"] * 2}


@expose
def scaled(req: dict, scale: float) -> dict:
    return {"result": req["value"] * scale}


@expose
def add(a: int, b: int) -> int:
    return a + b


@expose
async def greet(name: Optional[str] = "you") -> str:
    return "hello, " + str(name)


@expose
def reverse(data: bytes) -> bytes:
    return bytes(reversed(data))


@expose("model.sum")
def total(values: "list[float]") -> float:
    return sum(values)


@expose
def status() -> str:
    return "status of Python"


@expose
def call(function: str, argument: int) -> str:
    return f"{function}({argument})"


@expose
def forget() -> None:
    """Returns nothing."""


@expose
def half(value: int) -> Optional[float]:
    return value / 2 if value else None
