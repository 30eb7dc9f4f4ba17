"""Exposes the function of each row of tests/vectors/front_door.json by the id of the row."""

import functools
import importlib.util
import json
import os
import sys
import types

import pyproc_worker

ROWS = os.environ.get("FRONT_DOOR_ROWS") or os.path.join(os.path.dirname(__file__), "..", "vectors", "front_door.json")

with open(ROWS, encoding="utf-8") as file:
    rows = json.load(file)["rows"]

expose = pyproc_worker.expose
for row in rows:
    if all(importlib.util.find_spec(library) for library in row.get("needs", ())):
        # Dataclasses look the names in their annotations up in their module.
        module = types.ModuleType("row_" + row["id"])
        sys.modules[module.__name__] = module
        pyproc_worker.expose = functools.partial(expose, name=row["id"])
        exec(compile(row["source"], row["id"], "exec"), module.__dict__)
pyproc_worker.expose = expose
