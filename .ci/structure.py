#!/usr/bin/env python3
"""Checks the imports of the Rust crates: no circle of files, no import that runs up, pure cores.

It reads `use` declarations and paths that begin with `crate`, `self` or `super`. Code under
`#[cfg(test)]`, comments and attributes do not count.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The top-level modules of each crate, in layers from low to high. A module imports from its own
# layer and from those before it.
LAYERS = {
    "actors/src": [
        ["id", "reason", "duration", "setting"],
        ["call", "restart"],
        ["backend", "waker", "alarm"],
        ["job", "panic"],
        ["worker"],
        ["router"],
        ["supervisor"],
        ["testing"],
    ],
    "src": [
        ["error"],
        ["wire"],
        ["config", "process", "call"],
        ["backend"],
        ["fault"],
        ["status"],
        ["pool"],
        ["typed"],
        ["http", "metrics", "testing"],
        ["guide"],
    ],
    "cli/src": [
        ["escape", "signals", "duration", "verbosity"],
        ["console"],
        ["failure", "report"],
        ["options", "session", "argument", "named", "load"],
        ["call_args", "figures"],
        ["commands"],
    ],
}
# What a core may import besides std: types without behaviour that has effects.
PURE = {"std", "core", "id", "call", "reason", "restart", "serde", "thiserror"}


def code_of(path):
    """The file without comments, strings, attributes and test modules."""
    text = path.read_text()
    text = re.sub(r'r#+".*?"#+', '""', text, flags=re.S)
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"'(\\.|[^'\\])'", "' '", text)
    text = re.sub(r'"(\\.|[^"\\])*"', '""', text, flags=re.S)
    while (test := re.search(r"#\[cfg\((test|doctest)\)\]\s*", text)):
        text = text[: test.start()] + text[end_of_item(text, test.end()) :]
    return text


def end_of_item(text, start):
    """Where the item that begins at `start` ends: after its semicolon or its closing brace."""
    depth = 0
    for at in range(start, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at + 1
        elif text[at] == ";" and depth == 0:
            return at + 1
    return len(text)


def expanded(tree):
    """The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        yield re.sub(r"\s+as\s+\w+$", "", tree)
        return
    prefix, depth, part = tree[:brace], 0, ""
    for char in tree[brace + 1 : tree.rindex("}")] + ",":
        if char == "," and depth == 0:
            if part.strip():
                yield from (prefix + path for path in expanded(part))
            part = ""
            continue
        depth += (char == "{") - (char == "}")
        part += char


class Crate:
    def __init__(self, source):
        self.source = source
        self.layers = {name: at for at, names in enumerate(LAYERS[source]) for name in names}
        self.files = {}
        for path in sorted((ROOT / source).rglob("*.rs")):
            parts = list(path.relative_to(ROOT / source).with_suffix("").parts)
            if parts[-1] in ("lib", "main", "mod"):
                parts.pop()
            if "tests" not in parts:
                self.files[tuple(parts)] = path

    def name(self, module):
        return str(self.files[module].relative_to(ROOT))

    def resolve(self, module, path):
        """The module whose file a path leads to; none for another crate's."""
        parts = [part for part in re.split(r"\s*::\s*", path.strip()) if part]
        if not parts or parts[0] not in ("crate", "self", "super"):
            return None
        at = [] if parts[0] == "crate" else list(module)
        for part in parts[0 if parts[0] == "super" else 1 :]:
            if part == "super":
                at.pop()
            else:
                at.append(part)
        while tuple(at) not in self.files:
            at.pop()
        return tuple(at)

    def imports(self, module):
        """The paths that a file imports or names."""
        code = code_of(self.files[module])
        uses = r"\buse\s+([^;]+);"
        for use in re.findall(uses, code):
            yield from expanded(use)
        for path in re.findall(r"(?<![\w:$])(?:crate|self|super)(?:\s*::\s*\w+)+", re.sub(uses, "", code)):
            yield path

    def faults(self):
        edges = {module: set() for module in self.files}
        for module in self.files:
            for path in self.imports(module):
                target = self.resolve(module, path)
                if target is not None and target != module:
                    edges[module].add(target)
                if module and module[-1] == "core":
                    head = re.split(r"\s*::\s*", path)
                    first = head[1] if head[0] == "crate" else head[0]
                    if first not in PURE | {"self", "super"}:
                        yield f"{self.name(module)} is a core and imports {path}"
        for module, targets in edges.items():
            for target in sorted(targets):
                if not target and module:
                    yield f"{self.name(module)} imports through {self.name(target)}; import from where it is defined"
                elif module and target and self.layer(module) < self.layer(target):
                    yield f"{self.name(module)} imports {self.name(target)}, which is above it"
        for circle in circles(edges):
            yield "a circle of files: " + " -> ".join(self.name(module) for module in circle)

    def layer(self, module):
        if module[0] not in self.layers:
            sys.exit(f"{self.name(module)}: its module has no layer in {__file__}")
        return self.layers[module[0]]


def circles(edges):
    """The groups of files that import each other, by Tarjan's algorithm."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(edges[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            group, stack[at:] = stack[at:], []
            if len(group) > 1:
                found.append(group)

    for node in edges:
        if node not in index:
            visit(node)
    return found


def main():
    faults = [fault for source in LAYERS for fault in Crate(source).faults()]
    print("\n".join(faults) or "no circle of files, no import that runs up, every core is pure")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
