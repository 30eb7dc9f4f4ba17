"""The tests of a data scientist: of the script, and of the functions of an imported module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyproc_worker import testing

import model


@pytest.fixture(scope="session")
def worker() -> Iterator[testing.Worker]:
    with testing.worker(Path(__file__).parent / "model.py") as worker:
        yield worker


@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_price(worker: testing.Worker, codec: str) -> None:
    argument = {"house": {"rooms": 3, "area": 50.5}, "factor": 2}
    assert worker.call("price", argument, codec="json" if codec == "json" else "msgpack") == 262.0


def test_an_argument_that_does_not_fit(worker: testing.Worker) -> None:
    with pytest.raises(testing.InvalidArgument, match="rooms") as caught:
        worker.call("price", {"house": {"rooms": "three", "area": 1}})
    assert [error.path for error in caught.value.errors] == ["house.rooms"]


def test_an_imported_module() -> None:
    assert testing.call("price", {"house": {"rooms": 1, "area": 1.0}}) == 12.0
    assert testing.call("predict", {"value": 21}) == {"result": 42}
    assert testing.call("slow", 1) == [1, 1]


def test_an_exception() -> None:
    with pytest.raises(KeyError):
        testing.call("predict", {})


def test_a_function_is_still_a_function() -> None:
    assert model.price(model.House(1, 1.0), 0.0) == 0.0
