"""Takes from `parts` what a workflow uses: the source of names, all they need, and their imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

from qflow.authoring.render.text import WIDTH

_THIRD: Final = ("boto3", "botocore", "httpx", "pydantic", "qflow", "sqlalchemy")


@dataclass(frozen=True)
class Part:
    """A name that can be copied: its source, what else of `parts` it needs, what it imports."""

    name: str
    text: str
    uses: frozenset[str]
    is_constant: bool


@dataclass
class Imports:
    """The imports of a module, as they gather."""

    modules: set[str] = field(default_factory=set)
    names: dict[str, set[str]] = field(default_factory=dict)

    def take(self, module: str, *names: str) -> None:
        """Import names of a module, or the module itself."""
        if names:
            self.names.setdefault(module, set()).update(names)
        else:
            self.modules.add(module)

    def lines(self) -> list[str]:
        """Return the block: what Python brings, what others wrote, the folder's own."""
        groups: list[list[str]] = []
        for wanted in ("standard", "third", "own"):
            plain = [f"import {name}" for name in sorted(self.modules) if _group(name) == wanted]
            chosen = [module for module in sorted(self.names) if _group(module) == wanted]
            lines = [*plain, *(line for module in chosen for line in self._line(module))]
            groups += [lines] if lines else []
        block = [line for group in groups for line in ("", *group)]
        return ["from __future__ import annotations", *block]

    def _line(self, module: str) -> list[str]:
        names = sorted(self.names[module], key=_as_sorted)
        whole = f"from {module} import {', '.join(names)}"
        if len(whole) <= WIDTH:
            return [whole]
        return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def copied(roots: Iterable[str], imports: Imports) -> tuple[list[str], list[str]]:
    """Return the constants and the rest that `roots` need, in the order of their modules."""
    parts, homes = _parts()
    wanted: set[str] = set()
    left = list(roots)
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += [use for use in parts[name].uses if use in parts]
    chosen = [part for name, part in parts.items() if name in wanted]
    for part in chosen:
        for use in part.uses:
            for module, name in homes.get(use, ()):
                imports.take(module, *([name] if name else []))
    constants = [part.text for part in chosen if part.is_constant]
    return constants, [part.text for part in chosen if not part.is_constant]


def names() -> list[str]:
    """Return every name that can be copied."""
    return list(_parts()[0])


@cache
def _parts() -> tuple[dict[str, Part], dict[str, set[tuple[str, str]]]]:
    parts: dict[str, Part] = {}
    homes: dict[str, set[tuple[str, str]]] = {}
    folder = resources.files("qflow.authoring.parts")
    order = ("chat", "pages", "database", "storage", "mail", "announce", "rest", "settings")
    for module in order:
        text = (folder / f"{module}.py").read_text("utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    homes.setdefault(alias.name, set()).add((alias.name, ""))
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    homes.setdefault(alias.name, set()).add((str(node.module), alias.name))
            elif name := _defined(node):
                constant = isinstance(node, ast.Assign | ast.AnnAssign)
                parts[name] = Part(name, _source(text, node), _used(node, name), constant)
    return parts, homes


def _defined(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def _source(text: str, node: ast.stmt) -> str:
    marks = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(mark.lineno for mark in marks)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _used(node: ast.stmt, own: str) -> frozenset[str]:
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return frozenset(used - {own})


def _group(module: str) -> str:
    top = module.split(".", maxsplit=1)[0]
    if not top:
        return "own"
    return "third" if top in _THIRD else "standard"


def _as_sorted(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name
