"""Reads annotations; the main structure is `Types`.

A type must not exclude a value that the function takes, so an annotation that is not understood is
"any". Annotations that are text are parsed and not evaluated, except for `Annotated` with metadata
of a library. Neither `typing` nor `ast` is imported, because a worker that does not need them
starts sooner without.
"""

import sys

from . import _convert, _libraries, _records
from ._checked import ANY, KINDS, Type, one_line, with_article
from ._convert import NULL, array, fixed, literal, mapping, union
from ._definitions import Definitions
from ._describe import annotation_text, clean_doc, with_module
from ._names import (
    ClassScope,
    class_name,
    constant,
    evaluate,
    is_alternative,
    is_of_library,
    last_name,
    look_up,
    name_of,
    substituted,
    variables,
    wrapper,
)

_SIMPLE = {
    "None": NULL,
    "NoneType": NULL,
    "bool": _convert.BOOL,
    "int": _convert.INT,
    "Integral": _convert.INT,
    "float": _convert.FLOAT,
    "Real": _convert.FLOAT,
    "complex": _convert.FLOAT,
    "Number": _convert.FLOAT,
    "Complex": _convert.FLOAT,
    "str": _convert.STR,
    "Text": _convert.STR,
    "LiteralString": _convert.STR,
    "Any": ANY,
    "object": ANY,
}
_BINARY = {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview, "ByteString": bytes, "Buffer": bytes}
_LISTS = frozenset(("list", "List", "MutableSequence", "Sequence", "Iterable", "Collection", "Reversible"))
_SETS = frozenset(("set", "Set", "AbstractSet", "MutableSet"))
_DICTS = frozenset(("dict", "Dict", "Mapping", "MutableMapping"))
# They are made by their own class, which the annotation has if it is not text.
_MADE_LISTS = frozenset(("deque", "Deque"))
_MADE_DICTS = frozenset(("OrderedDict", "defaultdict", "DefaultDict", "Counter"))
_ITERATORS = frozenset(("Iterator", "Generator", "AsyncIterator", "AsyncGenerator", "AsyncIterable"))
_AWAITABLES = frozenset(("Coroutine", "Awaitable"))
_WRAPPERS = frozenset(("Annotated", "Required", "NotRequired", "Final", "ReadOnly", "ClassVar", "InitVar"))
# They say nothing without arguments, or nothing that can be checked.
_SPECIAL = frozenset(("Optional", "Union", "Literal", "Unpack", "Self", "Never", "NoReturn", "Concatenate"))

# Types nest at most this deep; below it, everything is "any".
_DEEPEST = 32
_LONGEST_TEXT = 10_000
_ONLY_AST = 0x400
_MAX_INT = 2**63


class Types:
    """Reads the annotations of all functions of a worker, which share `definitions`.

    `problems` has what does not work as the last annotation suggests: its keys are (class name,
    advice), where an empty advice stands for a class that is not known.
    """

    def __init__(self):
        self.definitions = Definitions()
        self.problems = {}
        # The NamedTuples that the last annotation names.
        self.named_tuples = set()
        self._result = False
        # The types of classes, and those of aliases, with whether they are being read now.
        self._records = {}
        self._aliases = {}
        self._parameters = {}

    def read(self, annotation, scope, result=False):
        """Return the type of an annotation; `scope` has the names that its text may use.

        `result` says that it is the annotation of a result: pydantic has other schemas for those.
        """
        self._result = result
        self.problems = {}
        self.named_tuples = set()
        try:
            return self._object(annotation, scope, 0)
        except Exception as error:
            # It is not Python, or a library does not accept it.
            self._failed(annotation_text(annotation)[:80], error)
            return ANY

    def _failed(self, name, error):
        if not self._result:
            self.problems[name, "%s: %s" % (type(error).__name__, error)] = None

    def _object(self, annotation, scope, depth):
        if depth > _DEEPEST:
            return ANY
        if annotation is None:
            return NULL
        if isinstance(annotation, str):
            return self._text(annotation, scope, depth)
        if hasattr(annotation, "__forward_arg__"):
            return self._text(annotation.__forward_arg__, scope, depth)
        if hasattr(annotation, "__metadata__"):
            library = _libraries.of_metadata(annotation.__metadata__)
            if library is not None:
                return self._of_library(library, annotation, annotation, None)
            return self._object(annotation.__origin__, scope, depth + 1)
        return self._plain(annotation, scope, depth)

    def _plain(self, annotation, scope, depth):
        def inner(argument):
            return self._object(argument, scope, depth + 1)

        annotation = substituted(annotation, self._parameters)
        arguments = getattr(annotation, "__args__", ())
        if type(annotation).__name__ == "UnionType":
            return union([inner(argument) for argument in arguments])
        origin = getattr(annotation, "__origin__", None)
        named = annotation if origin is None else origin
        name, standard = name_of(named)
        if not standard:
            return self._named(annotation, named, name, arguments, scope, depth)
        if name == "Literal":
            return self._literal(arguments)
        # Up to Python 3.10, `Tuple[()]` has an empty tuple as its argument.
        if name in ("tuple", "Tuple") and (arguments == ((),) or (arguments == () and hasattr(annotation, "__args__"))):
            return fixed([])
        return self._build(name, arguments, inner, lambda a: a is ..., named)

    def _named(self, annotation, named, name, arguments, scope, depth):
        # A class that the standard library does not define, or what stands for a type.
        kind = type(named).__name__
        if kind == "TypeVar":
            return self._type_variable(named, scope, depth)
        if hasattr(named, "__supertype__"):
            return self._object(named.__supertype__, scope, depth + 1)
        if kind == "TypeAliasType":
            return self._alias(named.__name__, named, lambda: self._object(named.__value__, scope, depth + 1))
        if not isinstance(named, type):
            return ANY
        known = _convert.scalar(named) or self._of_library(_libraries.known, annotation, named, named)
        if known is not None:
            return known
        kind = _records.kind_of(named)
        if kind is None:
            return self._unknown(with_module(named), named)
        if kind == "namedtuple":
            self.named_tuples.add(named)
        return self._record(kind, named, arguments)

    def _of_library(self, read, annotation, named, cls):
        try:
            return read(annotation, named, self.definitions, self._result)
        except Exception as error:
            # The library itself does not accept it, so it cannot validate a value.
            name = annotation_text(annotation)[:80]
            if self._result:
                return Type("any value", KINDS, {} if cls is None else {"title": cls.__name__})
            reason = one_line(str(error)).partition(". ")[0][:120]
            self._problem(name, "the argument is passed as it is: %s: %s" % (type(error).__name__, reason))
            return Type("any value", KINDS, {} if cls is None else {"x-python-type": with_module(cls)})

    def _problem(self, name, advice):
        self.problems[name, advice] = None

    def _type_variable(self, variable, scope, depth):
        if variable in self._parameters:
            return self._object(self._parameters[variable], scope, depth + 1)
        if variable.__constraints__:
            return union([self._object(one, scope, depth + 1) for one in variable.__constraints__])
        bound = variable.__bound__
        return ANY if bound is None else self._object(bound, scope, depth + 1)

    def _record(self, kind, cls, arguments):
        key = (cls, arguments, self._result)
        found = self._records.get(key)
        if found is not None:
            self.problems.update(found[1])
            self.named_tuples |= found[2]
            return found[0]
        name = self.definitions.reserve("_".join([cls.__name__, *map(class_name, arguments)]))
        expected = with_article(cls.__name__)
        # A class may contain itself; until its converter is made, it is looked up when it is used.
        made = Type(expected, ("object",), self.definitions.reference(name), lambda value: made.convert(value))
        outer = self.problems, self.named_tuples, self._parameters
        self.problems, self.named_tuples = {}, set()
        self._records[key] = made, self.problems, self.named_tuples
        by_class = variables(cls, arguments)
        try:
            if kind == "enum":
                one = _records.enum_type(cls)
                made.convert, made.takes, made.expected = one.convert, one.takes, one.expected
                schema = one.schema
            else:
                made.convert, schema = self._fields(kind, cls, expected, by_class)
        except Exception as error:
            # Other classes may already refer to this one, so it remains known, as any value.
            self._failed(cls.__name__, error)
            made.convert, made.takes, made.expected = _as_it_is, KINDS, "any value"
            schema = {"x-python-type": with_module(cls)}
        finally:
            outer[0].update(self.problems)
            outer[1].update(self.named_tuples)
            self.problems, self.named_tuples, self._parameters = outer
        self.definitions.define(name, {"title": cls.__name__, **_documentation(cls), **schema})
        twin = self._records.get((cls, arguments, not self._result))
        if twin is not None:
            self.definitions.merge(made.schema, twin[0].schema)
        return made

    def _fields(self, kind, cls, expected, by_class):
        types, defaults, wrappers = {}, {}, {}
        for name, (annotation, default) in _records.fields_of(kind, cls).items():
            scope = ClassScope(cls, name)
            self._parameters = by_class.get(scope.owner, {})
            try:
                one = ANY if annotation is None else self._object(annotation, scope, 1)
            except Exception as error:
                self._failed("%s.%s" % (cls.__name__, name), error)
                one = ANY
            types[name] = _convert.or_default(one, default)
            wrappers[name] = wrapper(annotation)
            defaults[name] = default
        if kind == "typeddict":
            required = _records.required_keys(cls, wrappers)
        else:
            required = [name for name in types if defaults[name] is _records.NO_DEFAULT]
        fields = _records.Fields(types, required)
        return _records.record(kind, cls, fields, expected), fields.schema(defaults)

    def _alias(self, name, key, read):
        # An alias may contain itself: then it is a definition of its own.
        made, is_open = self._aliases.get(id(key), (None, False))
        if made is not None and not is_open:
            return made
        if made is not None:
            if made.schema == {}:
                made.schema = self.definitions.reference(self.definitions.reserve(name))
            return made
        made = Type(name, KINDS, {}, lambda value: made.convert(value))
        self._aliases[id(key)] = made, True
        try:
            found = read()
        finally:
            del self._aliases[id(key)]
        if made.schema == {}:
            return found
        # `key` stays alive as a part of the annotation.
        self._aliases[id(key)] = made, False
        made.convert, made.takes, made.expected = found.convert or _as_it_is, found.takes, found.expected
        self.definitions.define(made.schema["$ref"].rpartition("/")[2], found.schema)
        return made

    def _unknown(self, name, cls=None):
        if self._result:
            known = _libraries.known_result(cls)
            if known is not None:
                return known
        if cls is None or not issubclass(cls, (dict, list, tuple, str, int, float)) or not self._result:
            self.problems[name, _libraries.advice(name) if self._result else ""] = None
        return Type("any value", KINDS, {"x-python-type": name})

    def _undefined(self, name):
        # It is imported only for type checkers, or misspelt.
        advice = _libraries.advice(name) if self._result else ""
        if advice or not self._result:
            self._problem(name, advice)
        return Type("any value", KINDS, {"x-python-type": name})

    def _literal(self, values):
        enum = sys.modules.get("enum")
        pairs = []
        for value in values:
            sent = value.value if enum is not None and isinstance(value, enum.Enum) else value
            # The host reads 64 bits.
            if type(sent) not in (int, bool, str, type(None)):
                return ANY
            if type(sent) is int and not -_MAX_INT <= sent < _MAX_INT:
                return ANY
            pairs.append((sent, value))
        return literal(pairs) if pairs else ANY

    def _build(self, name, arguments, inner, is_ellipsis, cls):
        # `name[arguments]`, whether it comes from objects or from text; `cls` may be None.
        if name in _SIMPLE:
            if name == "complex" and self._result:
                self.problems[name, ""] = None
            return _SIMPLE[name]
        if name in _BINARY:
            return _convert.binary(_BINARY[name])
        if name in _LISTS or name in _SETS or name in ("frozenset", "FrozenSet") or name in _MADE_LISTS:
            return array(inner(arguments[0]) if len(arguments) == 1 else ANY, *_made_array(name, cls))
        if name in _DICTS or name in _MADE_DICTS:
            key = inner(arguments[0]) if arguments else ANY
            item = inner(arguments[1]) if len(arguments) == 2 else ANY
            return mapping(key, item, *_made_mapping(name, cls))
        if name in ("tuple", "Tuple"):
            if not arguments:
                return array(ANY, tuple)
            if len(arguments) == 2 and is_ellipsis(arguments[1]):
                return array(inner(arguments[0]), tuple)
            return fixed([inner(argument) for argument in arguments])
        if name == "Optional" and len(arguments) == 1:
            return union([inner(arguments[0]), NULL])
        if name == "Union" and arguments:
            return union([inner(argument) for argument in arguments])
        if name in _WRAPPERS and arguments:
            return inner(arguments[0])
        if name in _SPECIAL or name in _WRAPPERS:
            return ANY
        return self._unknown(name, cls if isinstance(cls, type) else None)

    def _text(self, text, scope, depth):
        text = text.strip()
        if len(text) > _LONGEST_TEXT:
            return ANY
        tree = compile(text, "<annotation>", "eval", _ONLY_AST, dont_inherit=True)
        return self._node(tree.body, scope, depth)

    def _node(self, node, scope, depth):
        if depth > _DEEPEST:
            return ANY

        def inner(argument):
            return self._node(argument, scope, depth + 1)

        kind = type(node).__name__
        if kind == "Constant":
            if node.value is None:
                return NULL
            return self._text(node.value, scope, depth + 1) if isinstance(node.value, str) else ANY
        if is_alternative(node):
            alternatives = []
            while is_alternative(node):
                alternatives.append(node.right)
                node = node.left
            return union([inner(alternative) for alternative in [node, *reversed(alternatives)]])
        if kind in ("Name", "Attribute"):
            found = look_up(node, scope)
            if found is None:
                return self._undefined(last_name(node))
            if isinstance(found, type):
                return self._object(found, scope, depth + 1)
            return self._alias(last_name(node), found, lambda: self._object(found, scope, depth + 1))
        return self._subscript(node, scope, inner) if kind == "Subscript" else ANY

    def _evaluated(self, node, scope):
        try:
            return self._object(evaluate(node, scope), scope, 1)
        except Exception as error:
            self._failed(last_name(node.value) + "[...]", error)
            return ANY

    def _subscript(self, node, scope, inner):
        found = look_up(node.value, scope)
        arguments = node.slice.elts if type(node.slice).__name__ == "Tuple" else [node.slice]
        if found is None:
            return self._undefined(last_name(node.value))
        of_library = _libraries.subscript(found, arguments, lambda a: look_up(a, scope))
        if of_library is not None:
            return of_library
        alias = hasattr(found, "__args__")
        found = getattr(found, "__origin__", found)
        name, standard = name_of(found)
        if alias or not standard:
            # The parameters can be anywhere in the alias or class, so the text is evaluated.
            return self._evaluated(node, scope)
        if name in ("tuple", "Tuple") and not arguments:
            return fixed([])
        if name == "Literal":
            values = [constant(argument, scope) for argument in arguments]
            return ANY if ... in values else self._literal(values)
        if name == "Annotated" and not self._result and any(is_of_library(argument, scope) for argument in arguments[1:]):
            # What the library checks is in the metadata, so these texts are evaluated.
            try:
                return self._object(evaluate(node, scope), scope, 1)
            except Exception as error:
                self._failed("Annotated[...]", error)
        return self._build(
            name, arguments, inner, lambda a: type(a).__name__ == "Constant" and a.value is ..., found
        )


def _as_it_is(value):
    return value


def _made_array(name, cls):
    if name in _SETS:
        return (set,)
    if name in ("frozenset", "FrozenSet"):
        return (frozenset,)
    return (cls,) if name in _MADE_LISTS and isinstance(cls, type) else ()


def _made_mapping(name, cls):
    if name in ("defaultdict", "DefaultDict"):
        return (lambda value: cls(None, value),) if isinstance(cls, type) else ()
    return (cls,) if name in _MADE_DICTS and isinstance(cls, type) else ()


def _documentation(cls):
    doc = cls.__dict__.get("__doc__")
    # A dataclass without a docstring gets its signature, and a NamedTuple something similar.
    generated = not isinstance(doc, str) or doc.startswith(cls.__name__ + "(") or doc == "An enumeration."
    return {} if generated else {"description": clean_doc(doc)}
