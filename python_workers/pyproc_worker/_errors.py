"""Turns exceptions into payloads of Error and Failed: type, message and traceback, each bounded."""

import sys

from ._codec import dump_text, valid_text

_LONGEST = 64 * 1024
_MOST_BASES = 32
_LONGEST_NAME = 256
# The limits of the arguments of an exception: characters of text, and values.
_LONGEST_ARGS = 16 * 1024
_MOST_VALUES = 256
_OWN = __name__.partition(".")[0]

# Functions that return the message of an exception which has none, by the name of its type.
explanations = {}


def type_name(exception):
    """Return the qualified name of an exception's type; that of a builtin has no module."""
    return _class_name(type(exception))


def _class_name(kind):
    try:
        module, name = kind.__module__, kind.__qualname__
        if module not in ("builtins", None):
            # User code imports CallCancelled from the package itself.
            name = "%s.%s" % (_OWN if str(module).startswith(_OWN + ".") else module, name)
    except BaseException:
        # A metaclass can raise anything; this does not ask it.
        name = type.__dict__["__name__"].__get__(kind)
    return name[:_LONGEST_NAME]


def message_of(exception):
    """Return str(exception), or a replacement if that raises."""
    try:
        return bounded(str(exception))
    except BaseException as error:
        return "<%s.__str__ raised %s>" % (type_name(exception), type_name(error))


def traceback_text(exception):
    """Return what Python prints for an exception, without the frames of this package."""
    try:
        _clean(exception)
        import traceback

        lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
        return bounded("".join(lines))
    except BaseException:
        return "%s: %s\n" % (type_name(exception), message_of(exception))


def payload(type_text, message, traceback=""):
    """Return the payload of Error or Failed."""
    return dump_text({"type": type_text, "message": message, "traceback": traceback})


def exception_payload(exception):
    """Return the payload that reports an exception of user code."""
    name, message = type_name(exception), message_of(exception)
    if not message and name in explanations:
        message = explanations[name]()
    error = {
        "type": name,
        "message": message,
        "traceback": traceback_text(exception),
        "bases": _bases(exception),
    }
    try:
        args = exception.args
        if type(args) is tuple and _is_small_data(args):
            return dump_text(dict(error, args=list(args)))
    except BaseException:
        # `args` can be code of the exception's class, which can raise anything.
        pass
    return dump_text(error)


def _bases(exception):
    """Return the names of the base classes as in `__mro__`, without the class and `object`."""
    try:
        return [_class_name(kind) for kind in type(exception).__mro__[1:-1][:_MOST_BASES]]
    except BaseException:
        return []


def _is_small_data(args):
    """Return whether arguments are JSON data of a bounded size; looks at a bounded part of them."""
    room, count, waiting = _LONGEST_ARGS, 0, [args]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        count += 1
        if kind is str:
            room -= len(value)
        elif kind is list or kind is tuple or kind is dict:
            count += len(value)
            if count > _MOST_VALUES:
                return False
            if kind is dict:
                if any(type(key) is not str for key in value):
                    return False
                waiting += value
                waiting += value.values()
            else:
                waiting += value
        elif kind is int:
            if value.bit_length() > 63:
                return False
        elif kind is float:
            if value - value != 0:
                # JSON has no NaN and no infinities.
                return False
        elif value is not None and kind is not bool:
            return False
        if room < 0 or count > _MOST_VALUES:
            return False
    return True


def argument_payload(errors):
    """Return the payload that reports an argument that does not fit; `errors` are as in Invalid."""
    listed = [{"path": bounded(path), "message": bounded(text), "kind": kind} for path, text, kind in errors]
    message = "; ".join("%s: %s" % (one["path"], one["message"]) if one["path"] else one["message"] for one in listed)
    return dump_text({"type": "InvalidArgument", "message": bounded(message), "traceback": "", "errors": listed})


def bounded(text):
    """Return a text without its middle if it is long; both ends matter in a traceback."""
    if len(text) <= _LONGEST:
        return text
    head, tail = _LONGEST // 4, _LONGEST // 2
    return "%s\n... %d characters left out ...\n%s" % (text[:head], len(text) - head - tail, text[-tail:])


def print_error(text):
    """Write to standard error; ignore errors, because the script may have replaced the stream."""
    try:
        sys.stderr.write(valid_text(text))
        sys.stderr.flush()
    except Exception:
        pass


def _clean(exception):
    # Removes our frames from an exception and from all exceptions that it is chained to.
    waiting, seen = [exception], set()
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        waiting += [found.__cause__, found.__context__]
        waiting += getattr(found, "exceptions", ()) if type(found).__name__.endswith("Group") else ()
        try:
            found.__traceback__ = _without_own(found.__traceback__)
        except Exception:
            continue


def _without_own(traceback):
    kept = []
    dropped = False
    while traceback is not None:
        if is_own(traceback.tb_frame):
            dropped = True
        else:
            kept.append(traceback)
        traceback = traceback.tb_next
    if not dropped:
        return kept[0] if kept else None
    chain = None
    for found in reversed(kept):
        chain = type(found)(chain, found.tb_frame, found.tb_lasti, found.tb_lineno)
    return chain


def is_foreign(exception):
    """Return whether code outside of this package raised an exception."""
    traceback = exception.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and not is_own(traceback.tb_frame)


def is_own(frame):
    """Return whether a frame runs code of this package."""
    name = frame.f_globals.get("__name__")
    return type(name) is str and (name == _OWN or name.startswith(_OWN + "."))
