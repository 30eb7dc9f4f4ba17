"""Runs a call in the general case: any codec, metadata, every failure.

The main structure is `Calls`. The loops have only their fast paths.
"""

from . import _codec, _errors, _trace
from ._checked import Invalid
from ._context import STATE, CallCancelled
from ._frames import (
    ABSENT,
    ERROR,
    FAULT,
    INDEX_MASK,
    INTERRUPTED,
    INVALID_ARGUMENT,
    METADATA,
    RAISED,
    REPLY,
    SKIPPED,
    TOO_LARGE,
    UNDECODABLE,
    UNENCODABLE,
    UNKNOWN_FUNCTION,
    ProtocolError,
    split_metadata,
)
from ._interrupt import CALL_SITES

SENT, RUNNING, FINISHED = 0, 1, 2


class Calls:
    """Runs calls and updates the slot table. Answers are (kind, codec byte, payload)."""

    def __init__(self, functions, names, table, max_frame, absent):
        # Emptied when the worker must stop: calls that have not started are then skipped.
        self.functions = functions
        # What is called instead if a call has no argument.
        self.absent = absent
        self.names = names
        self.phase = table.phase
        self.marks = table.marks
        self.max_frame = max_frame
        # Handles the payload of a Fault frame, if the host may inject faults.
        self.inject = None

    def begin(self, codec, function, call, payload):
        """Decode a call and read its mark.

        Return (function, argument, metadata, codec), or the answer to a call that must not run.
        """
        index = call & INDEX_MASK
        if index >= len(self.phase):
            raise ProtocolError("call %d is beyond the slot table" % call)
        self.phase[index] = RUNNING
        metadata = b""
        refusal = called = argument = None
        try:
            called = self.functions[function]
            if codec & METADATA:
                metadata, payload = split_metadata(payload)
                codec &= ~METADATA
            if codec & ABSENT:
                codec &= ~ABSENT
                called = self.absent[function]
            else:
                argument = _codec.decode(codec, payload)
        except Exception as error:
            if called is None and isinstance(error, IndexError):
                refusal = self._unknown(function)
            else:
                name = _errors.type_name(error)
                refusal = ERROR, UNDECODABLE, _errors.payload(name, _errors.message_of(error))
        if self.marks[index] or STATE.stopping:
            refusal = self._skipped()
        if refusal is not None:
            # It has not run and will not. A host that can read only the table must see that.
            self.phase[index] = SENT
            return refusal
        return called, argument, metadata, codec

    def run(self, codec, function, call, payload):
        """Run a call of a `def` function from its frame to its answer."""
        begun = self.begin(codec, function, call, payload)
        if len(begun) == 3:
            return begun
        function, argument, metadata, codec = begun
        state = STATE
        token = None
        if metadata:
            state.metadata_call = call
            state.metadata = metadata
            token = _trace.attach(metadata)
        ended = False
        try:
            state.armed = call
            result = function(argument)
            ended = True
            state.armed = -1
            self.phase[call & INDEX_MASK] = FINISHED
        except BaseException as error:
            # A signal handler of the script can raise after the function has returned.
            answer = self.returned(codec, call, result) if ended else self.raised(call, error)
        else:
            answer = self.result(codec, result)
        if token is not None:
            _trace.detach(token)
        return answer

    def raised(self, call, error):
        """Answer a call whose function ended in an exception."""
        STATE.armed = -1
        if STATE.forked:
            _leave_fork(error)
        if type(error) is Invalid:
            # The closure of `_bind` raised it instead of calling the function.
            self.phase[call & INDEX_MASK] = SENT
            return ERROR, INVALID_ARGUMENT, _errors.argument_payload(error.errors)
        self.phase[call & INDEX_MASK] = FINISHED
        # A function can also raise CallCancelled by itself.
        asked = STATE.stopping or self.marks[call & INDEX_MASK] == 1
        # Not `isinstance`, which asks the exception for its class.
        code = INTERRUPTED if asked and issubclass(type(error), CallCancelled) else RAISED
        try:
            return ERROR, code, _errors.exception_payload(error)
        except Exception:
            return ERROR, code, _errors.payload(_errors.type_name(error), _errors.message_of(error))

    def returned(self, codec, call, result):
        """Answer a call whose function returned, but whose phase may not show it."""
        STATE.armed = -1
        if not STATE.forked:
            self.phase[call & INDEX_MASK] = FINISHED
        return self.result(codec, result)

    def result(self, codec, result):
        """Answer a call whose function returned."""
        if STATE.forked:
            _leave_fork(None)
        try:
            codec, payload = _codec.encode(codec, result)
        except _codec.Refused as refused:
            return ERROR, UNENCODABLE, _errors.payload(refused.type_name, refused.message)
        return REPLY, codec, payload

    def other(self, kind, payload, send):
        """Handle a frame that the loops do not: a fault, or an error. `send` sends at once."""
        if kind != FAULT or self.inject is None:
            raise ProtocolError("a frame of unknown kind %d" % kind)
        self.inject(payload, send)

    def too_large(self, kind, codec, payload):
        """Return the answer that replaces one that is longer than `max_frame`."""
        if kind == REPLY:
            message = "the result has %d bytes, but a frame holds at most %d" % (len(payload), self.max_frame)
            return ERROR, TOO_LARGE, _errors.payload("", message)
        error = _codec.load_json(payload)
        if codec == INVALID_ARGUMENT:
            return kind, codec, _errors.argument_payload([("", "the argument does not fit", "value")])
        return kind, codec, _errors.payload(error["type"][:80], error["message"][:80])

    def _skipped(self):
        return ERROR, SKIPPED, _errors.payload("", "the call was cancelled or revoked before it started")

    def _unknown(self, function):
        message = "there is no function %d; the worker exposes %s" % (function, ", ".join(self.names))
        return ERROR, UNKNOWN_FUNCTION, _errors.payload("", message)


CALL_SITES.add(Calls.run.__code__)


def _leave_fork(error):
    # A function forked, and the child returned from it too. Only the parent serves the socket, so
    # the child ends here, as a script would.
    from ._threads import leave_now

    if isinstance(error, SystemExit):
        leave_now(error.code)
    if error is not None:
        _errors.print_error(_errors.traceback_text(error))
    leave_now(int(error is not None))
