"""The deployed functions."""

from pyproc_worker import expose


@expose
def predict(req: dict) -> dict:
    """Doubles the value."""
    return {"result": req["value"] * 2}
