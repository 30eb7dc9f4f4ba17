"""What type checkers see of the package: `.ci/python_package` runs mypy and pyright on this file."""

import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Optional

from pyproc_worker import CallCancelled, CallContext, CancelEvent, current_call, expose, run_worker, setup, teardown
from pyproc_worker import testing
from typing_extensions import assert_type


@expose
def bare(a: int, b: str = "x") -> float:
    return a + len(b)


@expose("renamed")
def renamed(a: int) -> list[int]:
    return [a]


@expose(name="named", args="keywords")
def named(*, a: int) -> dict[str, int]:
    return {"a": a}


@expose()
async def coroutine(a: int) -> Optional[str]:
    return str(a)


@expose(args="whole")
def whole(point: tuple[float, float], cancel_event: CancelEvent) -> bool:
    return cancel_event.is_set() or cancel_event.wait(0.1)


class Model:
    def run(self, a: int) -> str:
        return str(a)


exposed = expose(Model().run, name="run")

assert_type(bare(1), float)
assert_type(renamed(1), "list[int]")
assert_type(named(a=1), "dict[str, int]")
assert_type(exposed(1), str)
typed_bare: Callable[[int, str], float] = bare
typed_coroutine: Callable[[int], Awaitable[Optional[str]]] = coroutine
typed_whole: Callable[[tuple[float, float], CancelEvent], bool] = whole

# A call that does not fit is an error; these comments are errors if it is none.
bare("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
named(1)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]
expose(name="f", args="other")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@setup
def load() -> None:
    threading.Event()


@setup()
async def connect() -> None:
    pass


@teardown
def unload() -> None:
    pass


def look(call: CallContext) -> None:
    assert_type(call.call_id, Optional[int])
    assert_type(call.deadline, Optional[float])
    assert_type(call.remaining(), Optional[float])
    assert_type(call.cancelled, bool)
    assert_type(call.metadata, "dict[str, str]")
    assert_type(call.logger, "logging.LoggerAdapter[logging.Logger]")


try:
    look(current_call())
except CallCancelled:
    pass

with testing.worker("worker.py") as worker:
    assert_type(worker, testing.Worker)
    assert_type(worker.call("bare", {"a": 1}, codec="msgpack", metadata={"k": "v"}, timeout=1.5), Any)
assert_type(testing.call("bare"), Any)
testing.call("bare", codec="xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
try:
    testing.worker(module="model").close()
except testing.InvalidArgument as error:
    assert_type(error.errors, "list[testing.ArgumentError]")
    assert_type(error.errors[0].path, str)

if __name__ == "__main__":
    run_worker()
