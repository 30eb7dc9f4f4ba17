from collections.abc import Iterable, Mapping
from os import PathLike
from types import TracebackType
from typing import Any, Literal, overload

__all__ = [
    "ArgumentError",
    "DecodeError",
    "EncodeError",
    "InvalidArgument",
    "UnknownFunction",
    "Worker",
    "call",
    "teardown",
    "worker",
]

_Codec = Literal["json", "msgpack"]

class ArgumentError:
    path: str
    message: str
    kind: str
    def __init__(self, path: str, message: str, kind: str) -> None: ...

class InvalidArgument(Exception):
    errors: list[ArgumentError]
    def __init__(self, errors: Iterable[ArgumentError]) -> None: ...

class UnknownFunction(LookupError): ...
class EncodeError(Exception): ...
class DecodeError(Exception): ...

class Worker:
    functions: list[dict[str, Any]]
    def call(
        self,
        function: str,
        argument: object = ...,
        *,
        codec: _Codec = "json",
        metadata: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def close(self) -> None: ...
    def __enter__(self) -> Worker: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@overload
def worker(script: str | PathLike[str], *, module: None = None) -> Worker: ...
@overload
def worker(script: None = None, *, module: str) -> Worker: ...
def call(
    function: str,
    argument: object = ...,
    *,
    codec: _Codec = "json",
    metadata: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Any: ...
def teardown() -> None: ...
