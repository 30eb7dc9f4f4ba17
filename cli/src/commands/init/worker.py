"""The functions that Rust calls. It is an ordinary script: print() and imports work as always."""

from pyproc_worker import expose


@expose
def predict(req: dict) -> dict:
    """Doubles the value."""
    return {"result": req["value"] * 2}
