"""Decides how the one argument of a call reaches the parameters of a function.

The main function is `bind`. The worker decides this once, at start, and Ready states it
(docs/protocol.md, section 3); nothing else has rules of its own. A function of one parameter that
is not checked is called directly; the closures made here are the only frames between the serving
loop and user code.
"""

from _operator import itemgetter

from ._checked import Invalid, checked, converter, name_text, null_is_absent, type_of
from ._context import cancel_event
from ._default import NO_DEFAULT, json_default
from ._describe import KEYWORD_ONLY, VAR_POSITIONAL, Unread, read_signature

# The values of `binding` in Ready.
UNKNOWN, NOTHING, WHOLE, SINGLE, NAMED, KEYWORDS = "unknown", "nothing", "whole", "single", "named", "keywords"

_FUNCTION_TYPE = type(lambda: None)


class Bound:
    """A function and how its argument reaches it.

    `call` takes the argument, and `absent` ignores it: it is for a call that has none. `argument`
    describes the whole argument for Ready, or is None if there is none.
    """

    __slots__ = ("binding", "call", "absent", "argument")

    def __init__(self, binding, call, absent, argument):
        self.binding = binding
        self.call = call
        self.absent = absent
        self.argument = argument


def check(function, args):
    """Raise TypeError if a function cannot be exposed with these `args`."""
    parameters = read_signature(function, Unread()).parameters
    if parameters is None:
        return
    if args == WHOLE:
        first = _first(parameters)
        if first is None:
            raise TypeError('args="whole" needs a positional parameter, which %r does not have' % (function,))
        more = [p.name for p in parameters if p.required and p is not first]
        if more:
            raise TypeError('args="whole" fills only `%s`, but %s must be given too' % (first.name, _and(more)))
    elif not any(p.kind != VAR_POSITIONAL for p in parameters):
        raise TypeError('args="keywords" needs a parameter with a name, which %r does not have' % (function,))


def binding_of(signature, args=None):
    """Return how an argument is bound to the parameters of a signature."""
    parameters = signature.parameters
    if args is not None:
        return args
    if parameters is None:
        return UNKNOWN
    named = [p for p in parameters if p.named]
    extra = any(not p.named and p.kind != VAR_POSITIONAL for p in parameters)
    if not named and not extra:
        return NOTHING
    if len(named) > 1 or extra or named[0].kind == KEYWORD_ONLY:
        return NAMED
    return WHOLE if "object" in named[0].type.takes else SINGLE


def bind(function, signature, args=None):
    """Return how the argument of a call is passed to `function`, as `binding_of` says."""
    binding = binding_of(signature, args)
    called = _with_event(function) if signature.takes_event else function
    if binding == UNKNOWN or signature.parameters is None:
        call = _keywords_of_unknown(called) if binding == KEYWORDS else _whole(called)
        return Bound(binding, call, _without(called), _description({}, False, binding != KEYWORDS))
    if binding == NOTHING:
        return Bound(binding, _nothing(called, bool(signature.parameters)), _without(called), None)
    if binding in (WHOLE, SINGLE):
        return _bind_one(called, binding, _first(signature.parameters))
    # Most functions take one value.
    from ._spread import Parameters

    parameters = Parameters(signature)
    if binding == KEYWORDS:
        call = _keywords(called, parameters)
        argument = _description(_by_name_schema(parameters), bool(parameters.required), False)
    else:
        call = _named(called, parameters)
        argument = _several(parameters)
    return Bound(binding, call, _absent(called, parameters.required, parameters.expected), argument)


def _first(parameters):
    # The first parameter that a positional argument reaches.
    return next((p for p in parameters if p.kind == VAR_POSITIONAL or (p.named and p.kind != KEYWORD_ONLY)), None)


def _bind_one(called, binding, first):
    convert = converter(first)
    default = null_is_absent(first)
    schema = first.type.schema
    absent = _absent(called, [first] if first.required else [], first.name)
    if binding == SINGLE:
        by_name = {"type": "object", "properties": {first.name: schema}, "required": [first.name]}
        schema = {"anyOf": [schema, {**by_name, "additionalProperties": False}]}
        call = _single(called, first, convert, default)
    elif convert is not None:
        call = _checked(called, first, convert, default)
    elif default:
        call = _whole_or_default(called)
    else:
        # An interrupt needs a frame to see, and only Python functions have one.
        call = called if type(called) is _FUNCTION_TYPE else _whole(called)
    return Bound(binding, call, absent, _description(schema, first.required, "bytes" in first.type.takes))


def _description(schema, required, takes_bytes):
    return {"schema": schema, "required": required, "bytes": takes_bytes}


def _whole(function):
    def call(argument):
        return function(argument)

    return call


def _without(function):
    def call(_):
        return function()

    return call


def _absent(function, required, expected):
    if not required:
        return _without(function)
    errors = [(p.name, "missing; expected " + expected, "missing") for p in required]

    def call(_):
        raise Invalid(list(errors))

    return call


def _nothing(function, has_rest):
    hint = '; use @expose(args="whole") to pass one to *args' if has_rest else ""

    def call(argument):
        if argument is None or argument == {}:
            return function()
        if type(argument) is dict:
            raise Invalid((name_text(name), "unknown; expected no names" + hint, "unknown") for name in argument)
        raise Invalid([("", "expected no argument, not %s%s" % (type_of(argument), hint), "type")])

    return call


def _whole_or_default(function):
    def call(argument):
        return function() if argument is None else function(argument)

    return call


def _checked(function, first, convert, default):
    name, exact = first.name, first.type.exact

    def call(argument):
        if type(argument) in exact:
            return function(argument)
        if argument is None and default:
            return function()
        return function(_converted(convert, name, argument))

    return call


def _single(function, first, convert, default):
    name, exact = first.name, first.type.exact
    hint = " (or an object with the name %s)" % name

    def call(argument):
        if type(argument) is dict:
            if len(argument) != 1 or name not in argument:
                return function(_converted(convert, name, argument, hint))
            argument = argument[name]
        elif argument is None and default:
            return function()
        if type(argument) in exact:
            return function(argument)
        return function(_converted(convert, name, argument))

    return call


def _converted(convert, name, argument, hint=""):
    errors = []
    try:
        value = checked(convert, name, argument, errors)
    except Invalid as full:
        errors = full.errors
    if errors:
        raise Invalid([(path, message + hint, kind) for path, message, kind in errors]) from None
    return value


def _named(function, parameters):
    from ._spread import takes_arrays

    bind_argument = parameters.bind
    fast = parameters.rest is None and parameters.extra is None and len(parameters.positional) > 1
    if not fast or len(parameters.positional) < len(parameters.all):

        def call(argument):
            positional, keywords = bind_argument(argument)
            return function(*positional, **keywords)

        return call
    names = list(parameters.all)
    count, values_of = len(names), itemgetter(*names)
    arrays = len(parameters.required) > 1 or not takes_arrays(parameters.positional[0])
    checks = [(i, p.type.exact) for i, p in enumerate(parameters.all.values()) if p.type.convert is not None]

    def call(argument):
        # The common case: all values are given, and none needs conversion.
        values = None
        if type(argument) is dict:
            if len(argument) == count:
                try:
                    values = values_of(argument)
                except KeyError:
                    pass
        elif arrays and type(argument) is list and len(argument) == count:
            values = argument
        if values is not None:
            for i, exact in checks:
                if type(values[i]) not in exact:
                    break
            else:
                return function(*values)
        positional, keywords = bind_argument(argument)
        return function(*positional, **keywords)

    return call


def _keywords(function, parameters):
    def call(argument):
        if argument is None:
            argument = {}
        if type(argument) is not dict:
            raise parameters.type_error(argument, by_position=False)
        if not parameters.fits(argument):
            raise parameters.names_error(argument)
        positional, keywords = parameters.by_name(argument)
        return function(*positional, **keywords)

    return call


def _keywords_of_unknown(function):
    def call(argument):
        if argument is None:
            return function()
        if type(argument) is not dict or not all(type(name) is str for name in argument):
            raise Invalid([("", "expected an object of keyword arguments, not %s" % type_of(argument), "type")])
        return function(**argument)

    return call


def _with_event(function):
    def call(*arguments, **keywords):
        return function(*arguments, cancel_event=cancel_event(), **keywords)

    return call


def _by_name_schema(parameters):
    properties = {}
    for p in parameters.all.values():
        default = json_default(p.default)
        properties[p.name] = p.type.schema if default is NO_DEFAULT else {**p.type.schema, "default": default}
    schema = {"type": "object", "properties": properties}
    if parameters.required:
        schema["required"] = [p.name for p in parameters.required]
    schema["additionalProperties"] = False if parameters.extra is None else parameters.extra.type.schema
    return schema


def _several(parameters):
    # The argument as each of the rules takes it.
    from ._spread import takes_arrays

    schemas = [_by_name_schema(parameters)]
    required, positional = parameters.required, parameters.positional
    first = next(iter(parameters.all.values()), None)
    if (
        (positional or parameters.rest is not None)
        and not any(p.kind == KEYWORD_ONLY for p in required)
        and (len(required) > 1 or first is None or not takes_arrays(first))
    ):
        schemas.append(_by_position_schema(parameters))
    one = required[0] if len(required) == 1 else first
    takes_bytes = False
    if len(required) <= 1 and one is not None:
        if one is first or "object" in one.type.takes:
            schemas.append(one.type.schema)
        takes_bytes = one is first and "bytes" in one.type.takes
    unique = [schema for i, schema in enumerate(schemas) if schema not in schemas[:i]]
    schema = unique[0] if len(unique) == 1 else {"anyOf": unique}
    return _description(schema, bool(required), takes_bytes)


def _by_position_schema(parameters):
    schema = {"type": "array", "minItems": sum(p.required for p in parameters.positional)}
    if parameters.positional:
        schema["prefixItems"] = [p.type.schema for p in parameters.positional]
    if parameters.rest is None:
        schema["maxItems"] = len(parameters.positional)
    elif parameters.rest.type.schema:
        schema["items"] = parameters.rest.type.schema
    return schema


def _and(names):
    return " and ".join("`%s`" % name for name in names)
