"""Functions that Rust calls. This is an ordinary script: print() and imports work as usual."""

from pyproc_worker import expose


@expose
def predict(req: dict) -> dict:
    """Doubles the value."""
    return {"result": req["value"] * 2}
