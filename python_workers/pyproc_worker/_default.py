"""States defaults as JSON values, as far as JSON can express them."""

NO_DEFAULT = object()
_DEEPEST = 8


def json_default(value, depth=0):
    """Return a default as a JSON value, or NO_DEFAULT."""
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        # Hosts read 64 bits.
        return value if -(1 << 63) <= value < 1 << 63 else NO_DEFAULT
    if type(value) is float:
        return value if value - value == 0 else NO_DEFAULT
    if depth > _DEEPEST:
        return NO_DEFAULT
    if type(value) in (list, tuple) and len(value) <= 100:
        items = [json_default(item, depth + 1) for item in value]
        return NO_DEFAULT if NO_DEFAULT in items else items
    if type(value) is dict and len(value) <= 100:
        items = {key: json_default(item, depth + 1) for key, item in value.items() if type(key) is str}
        return NO_DEFAULT if NO_DEFAULT in items.values() or len(items) < len(value) else items
    try:
        return _of_class(value, depth)
    except Exception:
        # The class may be one of the script.
        return NO_DEFAULT


def _of_class(value, depth):
    kind = type(value)
    bases = {(str(base.__module__).partition(".")[0], base.__name__) for base in kind.__mro__}
    if ("enum", "Enum") in bases:
        return json_default(value.value, depth + 1)
    if bases & {("datetime", "datetime"), ("datetime", "date"), ("datetime", "time")}:
        return value.isoformat()
    if ("datetime", "timedelta") in bases:
        return value.total_seconds()
    if bases & {("uuid", "UUID"), ("decimal", "Decimal"), ("pathlib", "PurePath")}:
        return str(value)
    return NO_DEFAULT
