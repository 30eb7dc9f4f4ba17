"""What Ready says of a function: signature, first line of the doc, kind, parameters.

A plain function is read from its code object, because importing `inspect` costs more than all the
rest of the start; anything else is left to `inspect`.
"""

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


class Parameter:
    """One parameter; `default` is the text of its default or None."""

    __slots__ = ("name", "kind", "required", "default", "annotation")

    def __init__(self, name, kind, default, annotation):
        self.name = name
        self.kind = kind
        self.required = default is _NOTHING and kind not in (VAR_POSITIONAL, VAR_KEYWORD)
        self.default = None if default is _NOTHING else _text(default)
        self.annotation = None if annotation is _NOTHING else annotation_text(annotation)

    def describe(self):
        """Return the parameter as Ready holds it."""
        return {"name": self.name, "kind": self.kind, "required": self.required, "annotation": self.annotation}


def describe(name, function, parameters, returns):
    """Return the entry of Ready for a function."""
    doc = getattr(function, "__doc__", None)
    lines = doc.strip().splitlines() if isinstance(doc, str) else []
    return {
        "name": name,
        "signature": signature_text(parameters, returns),
        "doc": lines[0].strip() if lines else None,
        "kind": "async" if is_async(function) else "sync",
        "parameters": [p.describe() for p in parameters or ()],
        "returns": returns,
    }


def is_async(function):
    """Whether calling `function` gives a coroutine."""
    while hasattr(function, "func") and hasattr(function, "keywords"):
        function = function.func
    function = getattr(function, "__func__", function)
    if getattr(function, "_is_coroutine_mark", None) is not None:
        return True
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def read_parameters(function):
    """Return (parameters, annotation of the result as text); the parameters are None if unknown."""
    plain = getattr(function, "__func__", function)
    if type(plain) is _FUNCTION_TYPE and not hasattr(plain, "__wrapped__") and not hasattr(plain, "__signature__"):
        parameters, returns = _read_code(plain)
        return (parameters if plain is function else parameters[1:]), returns
    return _read_inspect(function)


def _read_code(function):
    code = function.__code__
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
        parameters.append(Parameter(name, kind, default, annotations.get(name, _NOTHING)))

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
    returns = annotations.get("return", _NOTHING)
    return parameters, None if returns is _NOTHING else annotation_text(returns)


def _read_inspect(function):
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None, None
    parameters = [
        Parameter(
            p.name,
            p.kind.name.lower(),
            _NOTHING if p.default is p.empty else p.default,
            _NOTHING if p.annotation is p.empty else p.annotation,
        )
        for p in signature.parameters.values()
    ]
    returns = signature.return_annotation
    return parameters, None if returns is signature.empty else annotation_text(returns)


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


def signature_text(parameters, returns):
    """Return the signature as Python prints it."""
    if parameters is None:
        return "(...)"
    parts = []
    previous = None
    star = False
    for p in parameters:
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
    return "(" + ", ".join(parts) + ")" + (" -> " + returns if returns is not None else "")


def _parameter_text(p):
    text = {VAR_POSITIONAL: "*", VAR_KEYWORD: "**"}.get(p.kind, "") + p.name
    if p.annotation is not None:
        text += ": " + p.annotation
    if p.default is not None:
        text += (" = " if p.annotation is not None else "=") + p.default
    return text


def _text(value, longest=_LONGEST_DEFAULT):
    try:
        text = repr(value)
    except Exception:
        return "..."
    return text if longest is None or len(text) <= longest else "..."
