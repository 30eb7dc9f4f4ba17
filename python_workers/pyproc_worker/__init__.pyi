import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

__all__ = [
    "CallCancelled",
    "CallContext",
    "CancelEvent",
    "current_call",
    "expose",
    "run_worker",
    "setup",
    "teardown",
]

__version__: str

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Hook = TypeVar("_Hook", bound=Callable[[], Any])
_Args = Literal["whole", "keywords"]

@overload
def expose(target: str, *, args: _Args | None = None) -> Callable[[_Function], _Function]: ...
@overload
def expose(target: _Function, *, name: str | None = None, args: _Args | None = None) -> _Function: ...
@overload
def expose(
    target: None = None, *, name: str | None = None, args: _Args | None = None
) -> Callable[[_Function], _Function]: ...
@overload
def setup(function: _Hook) -> _Hook: ...
@overload
def setup(function: None = None) -> Callable[[_Hook], _Hook]: ...
@overload
def teardown(function: _Hook) -> _Hook: ...
@overload
def teardown(function: None = None) -> Callable[[_Hook], _Hook]: ...
def run_worker(*_arguments: Any, **_options: Any) -> None: ...
def current_call() -> CallContext: ...

class CallCancelled(BaseException): ...

class CallContext:
    call_id: int | None
    deadline: float | None
    def remaining(self) -> float | None: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]: ...

class CancelEvent:
    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...
