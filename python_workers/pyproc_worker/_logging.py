"""Sends log records to the host (docs/protocol.md, section 6).

Importing `logging` takes longer than importing this package, so the handler is attached when the
script, or a library that it uses, imports it.
"""

import os
import sys

from ._codec import dump_text
from ._context import current_id

_LONGEST = 64 * 1024
_LONGEST_NAME = 1024
_LEVELS = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "critical": 50, "off": 100}


def install(descriptor, level):
    """Send the records of the root logger, from `level` on, to `descriptor`."""
    number = level if isinstance(level, int) else _LEVELS.get(str(level).lower(), 20)
    if "logging" in sys.modules:
        _attach(descriptor, number)
    else:
        sys.meta_path.insert(0, _WhenImported(lambda: _attach(descriptor, number)))


class _WhenImported:
    """A finder that calls back once, when `logging` has been imported."""

    def __init__(self, then):
        self.then = then

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            self.then()

        try:
            spec.loader.exec_module = exec_module
        except AttributeError:
            # The loader of a frozen module is a class that cannot be changed: records go to stderr.
            return spec
        return spec


def _attach(descriptor, level):
    import logging

    class HostHandler(logging.Handler):
        """Writes each record as one JSON line; the host always reads them."""

        def emit(self, record):
            try:
                call = getattr(record, "call", None)
                line = encode_line(
                    record.levelno, record.name, self.format(record), call if isinstance(call, int) else current_id()
                )
                while line:
                    line = line[os.write(descriptor, line) :]
            except Exception:
                self.handleError(record)

    logging.root.addHandler(HostHandler())
    logging.root.setLevel(level)


def encode_line(level, logger, message, call):
    """Return one line of at most 64 KiB; long names and messages are cut."""
    logger = logger[:_LONGEST_NAME]
    while True:
        line = dump_text({"level": level, "logger": logger, "message": message, "call": call}) + b"\n"
        if len(line) <= _LONGEST:
            return line
        keep = min(len(message) * (_LONGEST - 1024) // len(line), len(message) - 1)
        message = message[:keep] + "…"
