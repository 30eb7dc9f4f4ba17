"""Reads what Ready states about a function; the main structure is `Signature`.

A plain function is read from its code object, because importing `inspect` takes longer than the
rest of the start; everything else is left to `inspect`.
"""

import sys

from ._checked import ANY
from ._default import NO_DEFAULT, json_default

POSITIONAL_ONLY = "positional_only"
POSITIONAL = "positional_or_keyword"
VAR_POSITIONAL = "var_positional"
KEYWORD_ONLY = "keyword_only"
VAR_KEYWORD = "var_keyword"

_COROUTINE = 0x80 | 0x100
# Also asynchronous ones.
_GENERATOR = 0x20 | 0x200
_VARARGS = 0x04
_VARKEYWORDS = 0x08
_FUNCTION_TYPE = type(lambda: None)
_LONGEST_DEFAULT = 80
# Wrappers can wrap each other in a circle.
_DEEPEST_WRAPPER = 100


class Annotations:
    """Reads the annotations of all functions of a worker, which share their definitions.

    `_types` is imported for the first one: a script without annotations starts sooner.
    """

    def __init__(self):
        self._types = None

    def read(self, annotation, scope, result=False):
        """Return the type of an annotation, and its problems, as `Types` has them."""
        if self._types is None:
            from ._types import Types

            self._types = Types()
        return self._types.read(annotation, scope, result), list(self._types.problems)

    @property
    def named_tuples(self):
        """The NamedTuples that the last annotation names."""
        return self._types.named_tuples

    @property
    def definitions(self):
        """The JSON Schemas of named classes."""
        return {} if self._types is None else self._types.definitions.schemas


class Unread:
    """Reads no annotation: each is one of any value."""

    named_tuples = ()

    @staticmethod
    def read(_annotation, _scope, _result=False):
        """Return the type of any value."""
        return ANY, []


class Annotation:
    """An annotation: its text, what it means, and what does not work as it suggests."""

    __slots__ = ("text", "type", "problems", "named_tuples")

    def __init__(self, annotation, scope, annotations, result=False):
        self.text = annotation_text(annotation)
        self.type, self.problems = annotations.read(annotation, scope, result)
        self.named_tuples = annotations.named_tuples


class Parameter:
    """One parameter; `default` is its default or NO_DEFAULT, `type` what its annotation means."""

    __slots__ = ("name", "kind", "required", "default", "annotation", "type", "field")

    def __init__(self, name, kind, default, annotation):
        self.name = name
        self.kind = kind
        # `x: int = Field(default=3)`: only models of pydantic read it, so it is not a value.
        self.field = _is_field(default)
        default = NO_DEFAULT if self.field else default
        self.required = default is NO_DEFAULT and kind not in (VAR_POSITIONAL, VAR_KEYWORD)
        self.default = default
        self.annotation = annotation
        self.type = ANY
        if annotation is not None:
            from ._convert import or_default

            self.type = or_default(annotation.type, default)

    @property
    def named(self):
        """Whether it takes one value and not any number of them."""
        return self.kind not in (VAR_POSITIONAL, VAR_KEYWORD)

    def describe(self):
        """Return the parameter as Ready states it."""
        described = {
            "name": self.name,
            "kind": self.kind,
            "required": self.required,
            "annotation": None if self.annotation is None else self.annotation.text,
            "schema": self.type.schema,
        }
        default = json_default(self.default)
        if default is not NO_DEFAULT:
            described["default"] = default
        return described


def _is_field(default):
    return any(one.__name__ == "FieldInfo" and one.__module__ == "pydantic.fields" for one in type(default).__mro__)


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


def describe(name, function, signature, bound):
    """Return what Ready states about a function."""
    doc = getattr(function, "__doc__", None)
    returns = signature.returns
    return {
        "name": name,
        "signature": str(signature),
        "doc": clean_doc(doc) if isinstance(doc, str) and doc.strip() else None,
        "kind": "async" if is_async(function) else "sync",
        "binding": bound.binding,
        "parameters": [p.describe() for p in signature.parameters or ()],
        "argument": bound.argument,
        "returns": None if returns is None else returns.text,
        "returns_schema": {} if returns is None else returns.type.schema,
        "warnings": _warnings(function, signature, bound.binding),
    }


def clean_doc(doc):
    """Return a docstring without the indentation of its lines, as `inspect.cleandoc` does."""
    lines = doc.expandtabs().strip().splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    common = min(indents, default=0)
    return "\n".join(lines[:1] + [line[common:].rstrip() for line in lines[1:]])


def _warnings(function, signature, binding):
    warnings = []
    if binding == "nothing" and signature.parameters:
        warnings.append('no argument reaches *args; @expose(args="whole") passes one')
    for p in signature.parameters or ():
        if p.field:
            text = "the default of `%s` is a field of pydantic, which only models read: the parameter is required"
            warnings.append(text % p.name + "; write `%s: Annotated[int, Field(gt=0)] = 3`" % p.name)
        for name, advice in p.annotation.problems if p.annotation is not None else ():
            if advice:
                warnings.append("the annotation of `%s` (%s) is not fully checked: %s" % (p.name, name, advice))
            else:
                warnings.append("the parameter `%s` (%s) is passed as it is: it is not checked" % (p.name, name))
    for name, advice in signature.returns.problems if signature.returns is not None else ():
        warnings.append("the result (%s) cannot be sent%s" % (name, "; " + advice if advice else ""))
    if signature.returns is None and getattr(_code_of(function), "co_flags", 0) & _GENERATOR:
        warnings.append("the result (a generator) cannot be sent; return a list")
    return warnings


def is_async(function):
    """Return whether calling `function` returns a coroutine."""
    function = _unwrapped(function)
    if getattr(function, "_is_coroutine_mark", None) is not None:
        return True
    code = _code_of(function)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _unwrapped(function):
    while hasattr(function, "func") and hasattr(function, "keywords"):
        function = function.func
    return getattr(function, "__func__", function)


def _code_of(function):
    function = _unwrapped(function)
    code = getattr(function, "__code__", None)
    return getattr(getattr(type(function), "__call__", None), "__code__", None) if code is None else code


def read_signature(function, annotations=None):
    """Return the signature of anything that can be called."""
    annotations = annotations or Annotations()
    plain = getattr(function, "__func__", function)
    if type(plain) is _FUNCTION_TYPE and not hasattr(plain, "__wrapped__") and not hasattr(plain, "__signature__"):
        parameters, returns = _read_code(plain, annotations)
        # The first parameter of a bound method has its argument; a static method has none of those.
        bound = plain is not function and not isinstance(function, staticmethod)
        return Signature(parameters[1:] if bound else parameters, returns)
    return _read_inspect(function, annotations)


def _read_code(function, reader):
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

    def add(name, kind, default=NO_DEFAULT):
        annotation = Annotation(annotations[name], scope, reader) if name in annotations else None
        parameters.append(Parameter(name, kind, default, annotation))

    for i, name in enumerate(names[:count]):
        at = i - (count - len(defaults))
        kind = POSITIONAL_ONLY if i < code.co_posonlyargcount else POSITIONAL
        add(name, kind, defaults[at] if at >= 0 else NO_DEFAULT)
    after = count + code.co_kwonlyargcount
    if code.co_flags & _VARARGS:
        add(names[after], VAR_POSITIONAL)
        after += 1
    for name in names[count : count + code.co_kwonlyargcount]:
        add(name, KEYWORD_ONLY, keyword_defaults.get(name, NO_DEFAULT))
    if code.co_flags & _VARKEYWORDS:
        add(names[after], VAR_KEYWORD)
    if "return" not in annotations:
        return parameters, None
    return parameters, Annotation(annotations["return"], scope, reader, result=True)


def _read_inspect(function, reader):
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return Signature(None, None)
    scope = scope_of(function)
    parameters = [
        Parameter(
            p.name,
            p.kind.name.lower(),
            NO_DEFAULT if p.default is p.empty else p.default,
            None if p.annotation is p.empty else Annotation(p.annotation, scope, reader),
        )
        for p in signature.parameters.values()
    ]
    returns = signature.return_annotation
    if returns is signature.empty:
        return Signature(parameters, None)
    return Signature(parameters, Annotation(returns, scope, reader, result=True))


def scope_of(function):
    """Return the globals of the function that a wrapper, partial or callable object leads to."""
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
        return with_module(annotation)
    return _text(annotation, None).replace("typing.", "").replace("__main__.", "")


def with_module(cls):
    """Return the name of a class as a person would write it."""
    module = str(cls.__module__)
    if module in ("builtins", "__main__"):
        return cls.__qualname__
    # pandas.core.frame.DataFrame is pandas.DataFrame.
    top = module.partition(".")[0]
    public = getattr(sys.modules.get(top), "__dict__", {}).get(cls.__name__) is cls
    return "%s.%s" % (top if public else module, cls.__qualname__)


def _parameter_text(p):
    text = {VAR_POSITIONAL: "*", VAR_KEYWORD: "**"}.get(p.kind, "") + p.name
    if p.annotation is not None:
        text += ": " + p.annotation.text
    if p.default is not NO_DEFAULT:
        text += (" = " if p.annotation is not None else "=") + _text(p.default)
    return text


def _text(value, longest=_LONGEST_DEFAULT):
    try:
        text = repr(value)
    except Exception:
        return "..."
    return text if longest is None or len(text) <= longest else "..."
