"""Finds what the names in annotations refer to. Only `evaluate` runs code of the script for it."""

import builtins
import sys

from . import _libraries

# The modules whose names have the meaning that `_types` gives them.
_STANDARD = frozenset(
    ("builtins", "collections", "collections.abc", "dataclasses", "numbers", "types", "typing", "typing_extensions")
)


class ClassScope:
    """The names that the annotation of a field may use as text: those of its class and module."""

    def __init__(self, cls, field):
        owner = next((base for base in cls.__mro__ if field in base.__dict__.get("__annotations__", ())), cls)
        module = sys.modules.get(owner.__module__)
        self.owner = owner
        self._names = [getattr(module, "__dict__", {}), {owner.__name__: owner, cls.__name__: cls}, vars(owner)]

    def get(self, name):
        """Return what a name stands for, or None."""
        for names in self._names:
            if name in names:
                return names[name]
        return None


def name_of(named):
    """Return the name of a class or special form, and whether the standard library defines it."""
    name = getattr(named, "__name__", None) or getattr(named, "_name", None)
    if not isinstance(name, str) or type(named).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
        return None, False
    # An instance has the module of its class.
    if getattr(named, "__module__", None) in _STANDARD and not hasattr(named, "__supertype__"):
        return name, type(named).__name__ != "TypeAliasType"
    return name, False


def substituted(annotation, parameters):
    """Return an annotation with the type variables in it replaced by what they stand for."""
    if not parameters or isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation
    names = getattr(annotation, "__parameters__", ())
    if not isinstance(names, tuple) or not any(name in parameters for name in names):
        return annotation
    return annotation[tuple(parameters.get(name, name) for name in names)]


def variables(cls, arguments):
    """Return {class: {type variable: argument}} of a class with arguments and of its bases."""
    own = {name: one for name, one in zip(getattr(cls, "__parameters__", ()), arguments) if one is not name}
    found = {cls: own}
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = getattr(base, "__origin__", base)
        if isinstance(origin, type) and origin is not object:
            given = [own.get(one, substituted(one, own)) for one in getattr(base, "__args__", ())]
            found.update(variables(origin, given))
    return found


def class_name(argument):
    """Return the name of an argument of a generic class, for the name of its definition."""
    return getattr(argument, "__name__", None) or type(argument).__name__


def wrapper(annotation):
    """Return the name of the outermost `Required` or `NotRequired`, also of one in text."""
    annotation = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2].strip()
    return name_of(getattr(annotation, "__origin__", None))[0]


class _Names:
    # The names of a scope, as `eval` looks them up.

    def __init__(self, scope):
        self._scope = scope

    def __getitem__(self, name):
        found = self._scope.get(name)
        if found is None:
            raise KeyError(name)
        return found


def evaluate(node, scope):
    """Return the value of an annotation in text; raises what its evaluation raises."""
    from _ast import Expression

    return eval(compile(Expression(body=node), "<annotation>", "eval", dont_inherit=True), {}, _Names(scope))


def is_alternative(node):
    """Return whether a node is `A | B`."""
    return type(node).__name__ == "BinOp" and type(node.op).__name__ == "BitOr"


def constant(node, scope):
    """Return the value of an argument of `Literal`, or an ellipsis if it is not a constant."""
    if type(node).__name__ == "UnaryOp" and type(node.op).__name__ == "USub":
        return -node.operand.value
    if type(node).__name__ == "Constant":
        return node.value
    found = look_up(node.value, scope) if type(node).__name__ == "Attribute" else None
    members = getattr(found, "__members__", None)
    return members.get(node.attr, ...) if members is not None else ...


def is_of_library(node, scope):
    """Return whether metadata in text call a library that would check something."""
    called = look_up(node.func, scope) if type(node).__name__ == "Call" else look_up(node, scope)
    return _libraries.is_metadata(called)


def look_up(node, scope):
    """Return the object that a dotted name refers to, or None; no code of the script runs."""
    names = []
    while type(node).__name__ == "Attribute":
        names.append(node.attr)
        node = node.value
    if type(node).__name__ != "Name":
        return None
    found = scope.get(node.id)
    if found is None:
        found = getattr(builtins, node.id, None)
    for name in reversed(names):
        found = getattr(found, "__dict__", {}).get(name)
    return found


def last_name(node):
    """Return the last part of a dotted name."""
    return node.attr if type(node).__name__ == "Attribute" else node.id
