"""Reads what Ready states about a function; the main structure is `Signature`.

A plain function is read from its code object, because importing `inspect` takes longer than the
rest of the start; everything else is left to `inspect`.
"""

from ._types import type_of

POSITIONAL_ONLY = "positional_only"
POSITIONAL = "positional_or_keyword"
VAR_POSITIONAL = "var_positional"
KEYWORD_ONLY = "keyword_only"
VAR_KEYWORD = "var_keyword"

_COROUTINE = 0x80 | 0x100
_VARARGS = 0x04
_VARKEYWORDS = 0x08
_FUNCTION_TYPE = type(lambda: None)
_NOTHING = object()
_LONGEST_DEFAULT = 80
# Wrappers can wrap each other in a circle.
_DEEPEST_WRAPPER = 100


class Annotation:
    """An annotation: its text, and the type that it states."""

    __slots__ = ("text", "type")

    def __init__(self, annotation, scope):
        self.text = annotation_text(annotation)
        self.type = type_of(annotation, scope)


class Parameter:
    """One parameter; `default` is the text of its default, or None."""

    __slots__ = ("name", "kind", "required", "default", "annotation")

    def __init__(self, name, kind, default, annotation, scope):
        self.name = name
        self.kind = kind
        self.required = default is _NOTHING and kind not in (VAR_POSITIONAL, VAR_KEYWORD)
        self.default = None if default is _NOTHING else _text(default)
        self.annotation = None if annotation is _NOTHING else Annotation(annotation, scope)

    def describe(self):
        """Return the parameter as Ready states it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "required": self.required,
            "annotation": _text_of(self.annotation),
            "type": _type_of(self.annotation),
        }


class Signature:
    """The parameters that callers of a function see, and the annotation of its result.

    `parameters` is None if they cannot be known. A parameter `cancel_event`, which the worker
    passes, is not one of them; `takes_event` tells whether there is one.
    """

    __slots__ = ("parameters", "returns", "takes_event")

    def __init__(self, parameters, returns):
        seen = parameters and [p for p in parameters if p.name != "cancel_event" or p.kind == POSITIONAL_ONLY]
        self.parameters = seen
        self.returns = returns
        self.takes_event = seen != parameters

    def __str__(self):
        """Return the signature as Python prints it."""
        if self.parameters is None:
            return "(...)"
        parts = []
        previous = None
        star = False
        for p in self.parameters:
            if previous == POSITIONAL_ONLY and p.kind != POSITIONAL_ONLY:
                parts.append("/")
            if p.kind == KEYWORD_ONLY and not star:
                parts.append("*")
                star = True
            star = star or p.kind == VAR_POSITIONAL
            parts.append(_parameter_text(p))
            previous = p.kind
        if previous == POSITIONAL_ONLY:
            parts.append("/")
        return "(" + ", ".join(parts) + ")" + (" -> " + self.returns.text if self.returns is not None else "")


def describe(name, function, signature, binding):
    """Return what Ready states about a function."""
    doc = getattr(function, "__doc__", None)
    lines = doc.strip().splitlines() if isinstance(doc, str) else []
    return {
        "name": name,
        "signature": str(signature),
        "doc": lines[0].strip() if lines else None,
        "kind": "async" if is_async(function) else "sync",
        "binding": binding,
        "parameters": [p.describe() for p in signature.parameters or ()],
        "returns": _text_of(signature.returns),
        "returns_type": _type_of(signature.returns),
    }


def _text_of(annotation):
    return None if annotation is None else annotation.text


def _type_of(annotation):
    return "any" if annotation is None else annotation.type


def is_async(function):
    """Return whether calling `function` returns a coroutine."""
    while hasattr(function, "func") and hasattr(function, "keywords"):
        function = function.func
    function = getattr(function, "__func__", function)
    if getattr(function, "_is_coroutine_mark", None) is not None:
        return True
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def read_signature(function):
    """Return the signature of anything that can be called."""
    plain = getattr(function, "__func__", function)
    if type(plain) is _FUNCTION_TYPE and not hasattr(plain, "__wrapped__") and not hasattr(plain, "__signature__"):
        parameters, returns = _read_code(plain)
        return Signature(parameters if plain is function else parameters[1:], returns)
    return _read_inspect(function)


def _read_code(function):
    code = function.__code__
    scope = function.__globals__
    try:
        annotations = function.__annotations__
    except Exception:
        annotations = {}
    names = code.co_varnames
    count = code.co_argcount
    defaults = function.__defaults__ or ()
    keyword_defaults = function.__kwdefaults__ or {}
    parameters = []

    def add(name, kind, default=_NOTHING):
        parameters.append(Parameter(name, kind, default, annotations.get(name, _NOTHING), scope))

    for i, name in enumerate(names[:count]):
        at = i - (count - len(defaults))
        kind = POSITIONAL_ONLY if i < code.co_posonlyargcount else POSITIONAL
        add(name, kind, defaults[at] if at >= 0 else _NOTHING)
    after = count + code.co_kwonlyargcount
    if code.co_flags & _VARARGS:
        add(names[after], VAR_POSITIONAL)
        after += 1
    for name in names[count : count + code.co_kwonlyargcount]:
        add(name, KEYWORD_ONLY, keyword_defaults.get(name, _NOTHING))
    if code.co_flags & _VARKEYWORDS:
        add(names[after], VAR_KEYWORD)
    return parameters, Annotation(annotations["return"], scope) if "return" in annotations else None


def _read_inspect(function):
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return Signature(None, None)
    scope = _scope(function)
    parameters = [
        Parameter(
            p.name,
            p.kind.name.lower(),
            _NOTHING if p.default is p.empty else p.default,
            _NOTHING if p.annotation is p.empty else p.annotation,
            scope,
        )
        for p in signature.parameters.values()
    ]
    returns = signature.return_annotation
    return Signature(parameters, None if returns is signature.empty else Annotation(returns, scope))


def _scope(function):
    # The globals of the function that a wrapper, a partial or a callable object leads to.
    for _ in range(_DEEPEST_WRAPPER):
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            break
        function = inner
    if not hasattr(function, "__globals__"):
        function = getattr(type(function), "__call__", None)
    return getattr(function, "__globals__", {})


def annotation_text(annotation):
    """Return an annotation as a person would write it."""
    if isinstance(annotation, str):
        return annotation
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not hasattr(annotation, "__origin__"):
        module = annotation.__module__
        return annotation.__qualname__ if module in ("builtins", "__main__") else module + "." + annotation.__qualname__
    return _text(annotation, None).replace("typing.", "").replace("__main__.", "")


def _parameter_text(p):
    text = {VAR_POSITIONAL: "*", VAR_KEYWORD: "**"}.get(p.kind, "") + p.name
    if p.annotation is not None:
        text += ": " + p.annotation.text
    if p.default is not None:
        text += (" = " if p.annotation is not None else "=") + p.default
    return text


def _text(value, longest=_LONGEST_DEFAULT):
    try:
        text = repr(value)
    except Exception:
        return "..."
    return text if longest is None or len(text) <= longest else "..."
