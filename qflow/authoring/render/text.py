"""Python as text: literals, calls that wrap as the formatter would, templates as f-strings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 100
PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_ESCAPED: Final = str.maketrans({"{": "{{", "}": "}}"})


def literal(text: str) -> str:
    """Return text as a Python literal in double quotes, or in single ones where it has double ones."""
    if '"' in text and "'" not in text:
        return "'" + _body(text).replace('\\"', '"') + "'"
    return f'"{_body(text)}"'


def template(text: str, of: str, *, mapping: bool = False) -> str:
    """Return text as an f-string in which `{field}` is that of `of`; plain where it has none."""
    if not PLACE.search(text):
        return literal(text)
    parts, last = [], 0
    for found in PLACE.finditer(text):
        parts.append(_body(text[last : found.start()]).translate(_ESCAPED))
        parts.append(f"{{{of}['{found[1]}']}}" if mapping else f"{{{of}.{found[1]}}}")
        last = found.end()
    parts.append(_body(text[last:]).translate(_ESCAPED))
    return 'f"' + "".join(parts) + '"'


def fields(text: str) -> list[str]:
    """Return the fields of the event that a text names."""
    return PLACE.findall(text)


def call(indent: int, head: str, arguments: Sequence[str], tail: str = "") -> list[str]:
    """Return the lines of a call: on one line, else its arguments on one, else one on each."""
    blank = " " * indent
    whole = f"{blank}{head}({', '.join(arguments)}){tail}"
    if len(whole) <= WIDTH:
        return whole.split("\n")
    inner = f"{blank}    {', '.join(arguments)}"
    if len(inner) <= WIDTH and "\n" not in inner:
        return [f"{blank}{head}(", inner, f"{blank}){tail}"]
    lines = [line for argument in arguments for line in _indented(argument, indent + 4)]
    return [f"{blank}{head}(", *lines, f"{blank}){tail}"]


def prose(text: str) -> str:
    """Return text for a docstring or a comment: nothing in it can end one."""
    flat = " ".join(text.split()).replace("\\", "/").replace('"""', "'''")
    return flat.replace('"', "'") if flat.endswith('"') else flat


def wrapped(text: str, width: int = WIDTH, first: str = "", rest: str = "") -> list[str]:
    """Return text in lines of at most `width`."""
    import textwrap

    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _indented(argument: str, indent: int) -> list[str]:
    lines = [" " * indent + line for line in argument.split("\n")]
    lines[-1] += ","
    return lines


def _body(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
