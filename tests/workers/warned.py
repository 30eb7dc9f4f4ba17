"""Functions that `pyproc check` warns of."""

from pyproc_worker import expose


class Thing:
    pass


@expose
def made() -> Thing:
    return Thing()


@expose
def fine(x: int, y: str = "a") -> list:
    return [x, y]
