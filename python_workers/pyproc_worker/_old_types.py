"""Turns annotations into the types that Ready states (docs/protocol.md, section 3).

A type must not exclude a value that the function takes, so an annotation that is not understood is
"any". Annotations that are text are parsed and never evaluated. Neither `typing` nor `ast` is
imported, because a worker that does not need them starts sooner without.
"""

# The modules whose names have the meaning that the tables below give them.
_STANDARD = frozenset(("builtins", "collections", "collections.abc", "types", "typing", "typing_extensions"))

_SIMPLE = {
    "None": "none",
    "NoneType": "none",
    "bool": "bool",
    "int": "int",
    "float": "float",
    "complex": "float",
    "str": "str",
    "LiteralString": "str",
    "bytes": "bytes",
    "bytearray": "bytes",
    "memoryview": "bytes",
    "Any": "any",
    "object": "any",
}
_LISTS = frozenset(("list", "List", "set", "Set", "frozenset", "FrozenSet", "MutableSequence", "deque"))
# A string is one too.
_SEQUENCES = frozenset(("Sequence", "Iterable", "Collection"))
_DICTS = frozenset(
    ("dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict", "DefaultDict")
)
_WRAPPERS = frozenset(("Annotated", "Required", "NotRequired", "Final"))
# They say nothing without arguments.
_SPECIAL = frozenset(("Optional", "Union", "Literal"))

# Types nest at most this deep; below it, everything is "any".
_DEEPEST = 32
_LONGEST_TEXT = 10_000
_ONLY_AST = 0x400
_MAX_INT = 2**63


def type_of(annotation, scope):
    """Return the type that an annotation states; `scope` has the names that its text may use."""
    try:
        return _of_object(annotation, scope, 0)
    except Exception:
        return "any"


def _of_object(annotation, scope, depth):
    if depth > _DEEPEST:
        return "any"
    if annotation is None:
        return "none"
    if isinstance(annotation, str):
        return _of_text(annotation, scope, depth)
    if hasattr(annotation, "__forward_arg__"):
        return _of_text(annotation.__forward_arg__, scope, depth)

    def inner(argument):
        return _of_object(argument, scope, depth + 1)

    if hasattr(annotation, "__metadata__"):
        return inner(annotation.__origin__)
    arguments = getattr(annotation, "__args__", ())
    if type(annotation).__name__ == "UnionType":
        return {"union": [inner(argument) for argument in arguments]}
    origin = getattr(annotation, "__origin__", None)
    name, standard = _name(annotation if origin is None else origin)
    if not standard:
        return "any" if name is None else {"class": name}
    if name == "Literal":
        return _literal(arguments)
    # Up to Python 3.10, `Tuple[()]` has an empty tuple as its argument.
    return _build(name, () if arguments == ((),) else arguments, inner, lambda a: a is ...)


def _name(named):
    # The name of a class or a special form, and whether the standard library defines it.
    name = getattr(named, "__name__", None) or getattr(named, "_name", None)
    kind = type(named).__name__
    if not isinstance(name, str) or kind in ("TypeVar", "ParamSpec", "TypeVarTuple"):
        return None, False
    if getattr(named, "__module__", None) in _STANDARD:
        return name, True
    is_class = isinstance(named, type) or hasattr(named, "__supertype__") or kind == "TypeAliasType"
    return (name if is_class else None), False


def _build(name, arguments, inner, is_ellipsis):
    # `name[arguments]`, whether it comes from objects or from text.
    if name in _SIMPLE:
        return _SIMPLE[name]
    if name in _LISTS or name in _SEQUENCES:
        item = inner(arguments[0]) if len(arguments) == 1 else None
        return {"list" if name in _LISTS else "sequence": item}
    if name in _DICTS:
        return {"dict": inner(arguments[1]) if len(arguments) == 2 else None}
    if name in ("tuple", "Tuple"):
        if not arguments:
            return {"list": None}
        if len(arguments) == 2 and is_ellipsis(arguments[1]):
            return {"list": inner(arguments[0])}
        return {"tuple": [inner(argument) for argument in arguments]}
    if name == "Optional" and len(arguments) == 1:
        return {"union": [inner(arguments[0]), "none"]}
    if name == "Union" and arguments:
        return {"union": [inner(argument) for argument in arguments]}
    if name in _WRAPPERS and arguments:
        return inner(arguments[0])
    return "any" if name in _SPECIAL or name in _WRAPPERS else {"class": name}


def _literal(values):
    if values and all(_is_plain(value) for value in values):
        return {"literal": list(values)}
    return "any"


def _is_plain(value):
    if type(value) is int:
        # The host reads 64 bits.
        return -_MAX_INT <= value < _MAX_INT
    return value is None or type(value) in (bool, str)


def _of_text(text, scope, depth):
    text = text.strip()
    if len(text) > _LONGEST_TEXT:
        return "any"
    tree = compile(text, "<annotation>", "eval", _ONLY_AST, dont_inherit=True)
    return _of_node(tree.body, scope, depth)


def _of_node(node, scope, depth):
    if depth > _DEEPEST:
        return "any"

    def inner(argument):
        return _of_node(argument, scope, depth + 1)

    kind = type(node).__name__
    if kind == "Constant":
        if node.value is None:
            return "none"
        return _of_text(node.value, scope, depth + 1) if isinstance(node.value, str) else "any"
    if _is_alternative(node):
        alternatives = []
        while _is_alternative(node):
            alternatives.append(node.right)
            node = node.left
        return {"union": [inner(alternative) for alternative in [node, *reversed(alternatives)]]}
    if kind in ("Name", "Attribute"):
        found = _look_up(node, scope)
        if found is not None:
            # Without the scope: an alias may name itself in its text.
            return _of_object(found, None, depth + 1)
        return _build(_last_name(node), [], inner, None)
    if kind == "Subscript":
        return _of_subscript(node, scope, inner)
    return "any"


def _is_alternative(node):
    return type(node).__name__ == "BinOp" and type(node.op).__name__ == "BitOr"


def _of_subscript(node, scope, inner):
    found = _look_up(node.value, scope)
    if found is None:
        name, standard = _last_name(node.value), True
    elif hasattr(found, "__args__"):
        # A generic alias, whose parameters could be anywhere in it.
        return "any"
    else:
        name, standard = _name(getattr(found, "__origin__", found))
    if not standard:
        return "any" if name is None else {"class": name}
    arguments = node.slice.elts if type(node.slice).__name__ == "Tuple" else [node.slice]
    if name == "Literal":
        values = [_constant(argument) for argument in arguments]
        return "any" if ... in values else _literal(values)
    return _build(name, arguments, inner, lambda a: type(a).__name__ == "Constant" and a.value is ...)


def _constant(node):
    # The value of an argument of `Literal`; an ellipsis if it is not a constant.
    if type(node).__name__ == "UnaryOp" and type(node.op).__name__ == "USub":
        return -node.operand.value
    return node.value if type(node).__name__ == "Constant" else ...


def _look_up(node, scope):
    # The object that a dotted name refers to, or None. No code of the script runs for it.
    names = []
    while type(node).__name__ == "Attribute":
        names.append(node.attr)
        node = node.value
    if type(node).__name__ != "Name" or not scope:
        return None
    found = scope.get(node.id)
    for name in reversed(names):
        found = getattr(found, "__dict__", {}).get(name)
    return found


def _last_name(node):
    return node.attr if type(node).__name__ == "Attribute" else node.id
