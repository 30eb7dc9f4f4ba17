"""The entry point of a worker process (docs/protocol.md, sections 1 and 3)."""

import os
import sys

_VARIABLES = {
    "socket": "PYPROC_SOCKET_FD",
    "table": "PYPROC_TABLE_FD",
    "stacks": "PYPROC_STACKS_FD",
    "log": "PYPROC_LOG_FD",
    "package": "PYPROC_PACKAGE_FD",
    "life": "PYPROC_LIFE_FD",
}
# A worker also runs without these.
_OPTIONAL = ("package", "life")
_NO_TERMINAL = "%s needs a terminal, which a worker does not have: debug the call with `pyproc call --pdb %s FUNCTION`"
_ATTACH = ", or attach debugpy and set PYTHONBREAKPOINT=debugpy.breakpoint"
# The signal that the kernel sends when the host has died.
_HOST_DEATH_SIGNAL = 37


def main():
    """Take over the inherited descriptors, load the script, serve, and exit as a script does."""
    descriptors = _inherit()
    terminal = os.environ.pop("PYPROC_TERMINAL", None) is not None
    _die_with_host(descriptors.get("life"))
    from ._channel import Channel, Table

    channel = Channel(descriptors["socket"])
    hello = _read_hello(channel)
    _name_process(hello["worker"], hello["slot"])
    from ._frames import WELCOME, frame
    from ._codec import dump_text

    welcome = {"protocol": 1, "python": "%d.%d.%d" % sys.version_info[:3]}
    channel.sendall(frame(WELCOME, 1, 0, 0, dump_text(welcome)))
    if hello["busy_poll_us"]:
        channel.poll_before_blocking(hello["busy_poll_us"] * 1000)
    from ._worker import Worker

    worker = Worker(channel, Table(descriptors["table"], hello["slots"]), hello)
    _watch(descriptors["stacks"], hello["stacks_signal"])
    _debug(worker, terminal)
    from ._logging import install

    install(descriptors["log"], hello["log_level"])
    worker.install()
    code = _run(worker, hello["worker"])
    from ._threads import leave

    leave(code)


def _inherit():
    descriptors = {}
    for name, variable in _VARIABLES.items():
        text = os.environ.pop(variable, None)
        if text is None and name not in _OPTIONAL:
            sys.exit("pyproc_worker: %s is not set; only a host can start a worker" % variable)
        if text is not None:
            descriptors[name] = int(text)
            # Processes that the worker starts must not keep the socket open: the host would not
            # notice the worker's death.
            os.set_inheritable(descriptors[name], False)
    return descriptors


def _die_with_host(life):
    # However the host dies, and whatever this process does then, all processes that it has started
    # die too. A worker that was started by hand does not lead a group.
    if life is None or os.getpgrp() != os.getpid():
        return
    import _signal
    import fcntl

    own = os.getpid()

    def on_host_death(_number, _frame):
        try:
            os.killpg(own, _signal.SIGKILL)
        except OSError:
            pass
        # User code may have moved this process to another group.
        os.kill(os.getpid(), _signal.SIGKILL)

    def kill_at_end(descriptor, owner):
        # The kernel kills the owner when the host's end is closed, even while C code runs here.
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, owner)
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, _signal.SIGKILL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | fcntl.FASYNC)

    _signal.signal(_HOST_DEATH_SIGNAL, on_host_death)
    kill_at_end(life, -own)
    # The second opening has a second owner: this process, in whatever group it then is. It stays
    # open until the process exits.
    kill_at_end(os.open("/proc/self/fd/%d" % life, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), own)


def _read_hello(channel):
    from ._codec import load_json
    from ._frames import DEFAULT_MAX_FRAME, HELLO

    hello = {
        "max_frame": DEFAULT_MAX_FRAME,
        "slots": 1024,
        "slot": 0,
        "flush_us": 200,
        "busy_poll_us": 0,
        "interrupt_signal": 23,
        "stacks_signal": 0,
        "log_level": "info",
        "json": "stdlib",
        "faults": False,
        "fault": None,
    }
    try:
        kind, payload = channel.read_frame(DEFAULT_MAX_FRAME)
    except (EOFError, ConnectionError):
        sys.exit("pyproc_worker: the host closed the socket before it sent Hello")
    if kind != HELLO:
        sys.exit("pyproc_worker: protocol error: the first frame is of kind %d, not Hello" % kind)
    hello.update(load_json(payload))
    if hello.get("protocol") != 1:
        sys.exit("pyproc_worker: this worker needs protocol 1, but the host uses protocol %r" % (hello.get("protocol"),))
    return hello


def _name_process(target, slot):
    # `top` and `ps -e` show 15 bytes; the arguments have the whole name (docs/protocol.md, section
    # 1).
    code = target["module"] if "module" in target else os.path.basename(target.get("path", "worker"))
    suffix = ":%d" % slot
    try:
        with open("/proc/self/comm", "wb", buffering=0) as name:
            name.write(os.fsencode(code)[: 15 - len(suffix)] + suffix.encode())
    except OSError:
        # It is only for people.
        pass


def _watch(stacks, stacks_signal):
    import _signal
    import faulthandler

    from ._interrupt import on_sigint

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    faulthandler.enable(sys.stderr)
    if stacks_signal:
        faulthandler.register(stacks_signal, file=stacks, all_threads=True, chain=False)
    # Processes that the worker starts would inherit SIG_IGN, but not a handler.
    _signal.signal(_signal.SIGINT, on_sigint)


def _debug(worker, terminal):
    if terminal:
        from . import _terminal

        _terminal.share()
        worker.watched = _terminal.watched
        return
    from ._errors import explanations

    # pdb reads the end of its input, and quits.
    explanations["bdb.BdbQuit"] = lambda: _needs_terminal("pdb")
    if not os.environ.get("PYTHONBREAKPOINT"):
        sys.breakpointhook = _refuse_breakpoint


def _refuse_breakpoint(*_arguments, **_keywords):
    raise RuntimeError(_needs_terminal("breakpoint()") + _ATTACH)


def _needs_terminal(what):
    script = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "worker.py"
    return _NO_TERMINAL % (what, script)


def _run(worker, target):
    from ._load import CannotLoad, run_module, run_script
    from ._worker import StartError

    try:
        if worker.hello["fault"]:
            from ._faults import at_start

            at_start(worker.hello["fault"])
        worker.use_json_library()
        if "module" in target:
            run_module(target["module"])
        else:
            # The host sends bytes if the path is not UTF-8.
            run_script(target["path"] if "path" in target else os.fsdecode(bytes(target["path_bytes"])))
    except CannotLoad as error:
        worker.fail(StartError(str(error)))
        return 1
    except BaseException as error:
        if not worker.begun:
            worker.fail(error)
            return 1
        if worker.failed:
            return 1
        if isinstance(error, SystemExit):
            return error.code
        from ._errors import print_error, traceback_text

        print_error(traceback_text(error))
        return 1
    worker.run()
    return 0
