"""Makes objects of NamedTuples, which encoders take for tuples. The main function is `converted`.

Those of user code become objects, and those that the annotation of a result names; those of
libraries stay arrays. Imported if a function has to do with a NamedTuple.
"""

import os
import sys

# Deeper nesting raises RecursionError, as it does in the encoders.
_DEEPEST = 1000
_PLAIN = frozenset((str, int, float, bool, type(None)))


def converted(call, is_async, named):
    """Return a callable that also converts the result; `named` are classes of its annotation."""
    if is_async:

        async def convert(argument):
            return _convert(await call(argument), named)

    else:

        def convert(argument):
            return _convert(call(argument), named)

    return convert


def _convert(result, named):
    if type(result) in _PLAIN:
        return result
    try:
        return objects(result, named, {}, 0)
    except Exception:
        # The encoder explains what is wrong with it.
        return result


def objects(value, named, known, depth):
    """Return a value with objects in place of its NamedTuples, and the value itself without any.

    `known` has the fields of each class that has been seen, or None.
    """
    if depth > _DEEPEST:
        raise RecursionError("the result is nested too deeply")
    if isinstance(value, dict):
        changed = None
        for key, item in value.items():
            other = objects(item, named, known, depth + 1) if type(item) not in _PLAIN else item
            if other is not item:
                if changed is None:
                    changed = dict(value)
                changed[key] = other
        return value if changed is None else changed
    if not isinstance(value, (list, tuple)):
        return value
    kind = type(value)
    if kind not in known:
        known[kind] = fields_of(kind, named)
    fields = known[kind]
    if fields is None and _PLAIN.issuperset(map(type, value)):
        return value
    items = [objects(item, named, known, depth + 1) if type(item) not in _PLAIN else item for item in value]
    if fields is not None and len(fields) == len(items):
        return dict(zip(fields, items))
    return value if all(map(_is, items, value)) else items


def _is(one, other):
    return one is other


def fields_of(kind, named=()):
    """Return the fields of a NamedTuple that becomes an object, else None."""
    fields = getattr(kind, "_fields", None) if issubclass(kind, tuple) else None
    if not isinstance(fields, tuple):
        return None
    return fields if _is_user_code(kind.__module__) or any(one in named for one in kind.__mro__) else None


def defines_one(scope):
    """Return whether the globals of a function have a NamedTuple of user code."""
    return any(issubclass(type(one), type) and fields_of(one) is not None for one in list(scope.values()))


def _is_user_code(name):
    # Whether a module is neither of the standard library nor installed.
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if name == "__main__" or not isinstance(path, str):
        # Built-in modules have a spec; those that code makes have none.
        return name == "__main__" or getattr(module, "__spec__", None) is None
    if "/site-packages/" in path or "/dist-packages/" in path:
        return False
    return not path.startswith(os.path.dirname(os.__file__) + "/")
