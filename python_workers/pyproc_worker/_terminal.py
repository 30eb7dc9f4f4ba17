"""The debugger of `pyproc call --pdb`, and its terminal."""

import os
import sys

from . import _errors

# A debugger does not stop in this package.
_SKIPPED = ("pyproc_worker", "pyproc_worker.*")


def share():
    """Use the terminal of the host: for input, for output, and for the debugger.

    The worker is in the host's process group, so the terminal lets it read, Ctrl-C reaches it, and
    Ctrl-Z stops both.
    """
    import _signal

    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        sys.exit("pyproc_worker: failed to open the terminal: %s" % error.strerror)
    for descriptor in (0, 1, 2):
        os.dup2(terminal, descriptor)
    os.close(terminal)
    sys.breakpointhook = _stop
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def watched(function, is_async):
    """Return a callable that opens the debugger where `function` raises."""
    if is_async:

        async def call(argument):
            try:
                return await function(argument)
            except (Exception, KeyboardInterrupt) as error:
                _post_mortem(error)
                raise
            finally:
                # A debugger that steps out of the function must not stop in the loop.
                sys.settrace(None)

    else:

        def call(argument):
            try:
                return function(argument)
            except (Exception, KeyboardInterrupt) as error:
                _post_mortem(error)
                raise
            finally:
                sys.settrace(None)

    return call


def _stop(*arguments, header=None, **keywords):
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*arguments, **keywords)
    import pdb

    debugger = pdb.Pdb(skip=_SKIPPED)
    if header is not None:
        debugger.message(header)
    debugger.set_trace(sys._getframe(1))


def _post_mortem(error):
    import bdb

    # The user has left the debugger, or the argument does not fit: nothing of the user raised.
    if isinstance(error, bdb.BdbQuit) or not _errors.is_foreign(error):
        return
    import pdb

    sys.settrace(None)
    # Without the frames of this package.
    _errors.traceback_text(error)
    name = _errors.type_name(error)
    _errors.print_error("%s: %s\nThis is the debugger: h lists its commands, q ends the call.\n" % (name, _errors.message_of(error)))
    pdb.post_mortem(error if sys.version_info >= (3, 13) else error.__traceback__)
