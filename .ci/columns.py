#!/usr/bin/env python3
"""Checks that comments and prose wrap at 100 columns; with `--fix`, wraps them.

Tables, code, headings, links and single words that are longer are left as they are.
"""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

WIDTH = 100
ITEM = re.compile(r"([-*+]|\d+[.)])\s+")
# A picture, or the definition of a link.
UNWRAPPED = re.compile(r"!\[|\[[^\]]+\]: ")
COMMENT = {
    ".rs": re.compile(r"\s*//[/!]?(?=\s|$)"),
    ".py": re.compile(r"\s*#(?=\s|$)"),
    ".toml": re.compile(r"\s*#(?=\s|$)"),
}
# Written by a benchmark.
EXCEPT = {"docs/benchmarks.md"}


def rewrapped(prefix, lines):
    """The paragraph `lines`, each without `prefix`, wrapped; the indent of a list item hangs."""
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    item = ITEM.match(lines[0].lstrip())
    hanging = indent + " " * (len(item.group()) if item else 0)
    return textwrap.wrap(
        " ".join(line.strip() for line in lines),
        WIDTH,
        initial_indent=prefix + indent,
        subsequent_indent=prefix + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def wrap(lines, prefix_of):
    """The file's lines with each paragraph that is too wide wrapped."""
    out, block, before, fence = [], [], None, None

    def flush():
        nonlocal block
        if any(len(before + line) > WIDTH for line in block):
            out.extend(rewrapped(before, block))
        else:
            out.extend(before + line for line in block)
        block = []

    for line in lines:
        prefix = prefix_of(line)
        text = None if prefix is None else line[len(prefix) :]
        bare = "" if text is None else text.strip()
        # What a fence opens, only a fence of the same kind closes: tracebacks have lines of tildes.
        fenced = bare[:3] if bare[:3] in ({fence} if fence else {"```", "~~~"}) else None
        left = text is None or fence or fenced or not bare or bare[0] in "|#<" or UNWRAPPED.match(bare)
        code = text is not None and text.startswith("     ") and not block
        if fenced:
            fence = None if fence else fenced
        if text is None:
            fence = None
        if left or code or ITEM.match(bare) or prefix != before:
            flush()
        before = prefix if prefix is not None else ""
        if left or code:
            out.append(line)
        else:
            block.append(text)
    flush()
    return out


def comment_of(pattern):
    def prefix_of(line):
        match = pattern.match(line)
        return match.group() if match else None

    return prefix_of


def main():
    fix = "--fix" in sys.argv[1:]
    names = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    wide = 0
    for name in filter(None, names):
        path = Path(name)
        if name in EXCEPT or not path.is_file():
            continue
        if path.suffix == ".md":
            prefix_of = lambda line: ""  # noqa: E731
        elif path.suffix in COMMENT:
            prefix_of = comment_of(COMMENT[path.suffix])
        else:
            continue
        before = path.read_text().split("\n")
        after = wrap(before, prefix_of)
        if after != before:
            if fix:
                path.write_text("\n".join(after))
            else:
                wide += 1
                print(f"{name}: comments or prose wider than {WIDTH} columns; run .ci/columns.py --fix")
    sys.exit(1 if wide else 0)


if __name__ == "__main__":
    main()
