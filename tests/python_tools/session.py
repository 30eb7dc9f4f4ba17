"""A session of a data scientist: cells of a notebook that run twice, pytest, mypy.

Usage: `python session.py DIRECTORY`, with an interpreter that has the package, IPython, pytest and
mypy.
"""

import os
import shutil
import subprocess
import sys

CELLS = [
    "from dataclasses import dataclass\nfrom pyproc_worker import expose, setup, testing\nevents = []",
    "@setup\ndef load():\n    events.append('setup')",
    "@dataclass\nclass Point:\n    x: float\n    y: float = 0.0",
    "@expose\ndef length(p: Point) -> float:\n    return (p.x**2 + p.y**2) ** 0.5",
    "assert testing.call('length', {'x': 3, 'y': 4}) == 5.0",
    "try:\n    testing.call('length', {'x': 'far'})\nexcept testing.InvalidArgument as error:\n    print(error)",
    # The function changes, and so does its class.
    "@dataclass\nclass Point:\n    x: float\n    y: float = 0.0\n    z: float = 0.0",
    "@expose\ndef length(p: Point) -> float:\n    return p.x + p.y + p.z",
    "assert testing.call('length', {'x': 1, 'z': 4}, codec='msgpack') == 5.0",
    "@expose\nasync def slow(value: int) -> int:\n    return value + 1",
    # A cell with `await` runs in an event loop.
    "import asyncio\nawait asyncio.sleep(0)\nassert testing.call('slow', 1) == 2",
    "assert testing.call('slow', 1) == 2",
]


def notebook():
    """Run every cell twice in a row, and then all of them again, as people do."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    for cell in [cell for cell in CELLS for _ in range(2)] + CELLS:
        result = shell.run_cell(cell, store_history=True)
        if not result.success:
            sys.exit("the cell failed:\n%s" % cell)


def main(directory):
    """Run the session in a copy of the project."""
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copytree(os.path.join(here, "project"), directory)
    os.chdir(directory)
    notebook()
    environment = {**os.environ, "PYTHONPATH": ""}
    tools = [
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        [sys.executable, "-m", "mypy", "model.py", "test_model.py"],
        # Most begin with un-annotated functions, so strict is for the rest.
        [sys.executable, "-m", "mypy", "--strict", "--allow-untyped-defs", "model.py", "test_model.py"],
    ]
    for command in tools:
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main(sys.argv[1])
