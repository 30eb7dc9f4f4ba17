"""The JSON Schemas of named classes, to which others refer; the main structure is `Definitions`."""

PREFIX = "#/components/schemas/"
_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class Definitions:
    """Schemas by name. Names are unique: the second `Point` is `Point_2`."""

    def __init__(self):
        self.schemas = {}

    def reserve(self, name):
        """Return a free name that is like `name`."""
        name = "".join(c if c in _ALLOWED else "_" for c in name)
        free, number = name, 1
        while free in self.schemas:
            number += 1
            free = "%s_%d" % (name, number)
        self.schemas[free] = {}
        return free

    @staticmethod
    def reference(name):
        """Return a schema that refers to a name."""
        return {"$ref": PREFIX + name}

    def define(self, name, schema):
        """Set the schema of a reserved name."""
        self.schemas[name] = schema

    def merge(self, reference, other):
        """Make a reference the same as another if both definitions say the same."""
        name, kept = (one["$ref"][len(PREFIX) :] for one in (reference, other))
        if _renamed(self.schemas[name], {name: kept}) == self.schemas[kept]:
            reference.update(other)
            del self.schemas[name]

    def adopt(self, schemas, schema):
        """Take the definitions of a library; return `schema` with their names here."""
        names = {}
        for name, one in schemas.items():
            names[name] = name if self.schemas.get(name) == one else self.reserve(name)
        for name, one in schemas.items():
            self.schemas[names[name]] = _renamed(one, names)
        return _renamed(schema, names)


def _renamed(schema, names):
    if isinstance(schema, dict):
        renamed = {key: _renamed(item, names) for key, item in schema.items()}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(PREFIX):
            name = reference[len(PREFIX) :]
            renamed["$ref"] = PREFIX + names.get(name, name)
        return renamed
    return [_renamed(item, names) for item in schema] if isinstance(schema, (list, tuple)) else schema
