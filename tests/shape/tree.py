"""The package as the tests of its shape see it: modules, their syntax trees, who imports whom."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "qflow"
LUA = PACKAGE / "store" / "lua"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of Python: `name` as it is imported, `path` from the repository's root."""

    name: str
    path: Path

    @property
    def shown(self) -> str:
        """Its path, for messages."""
        return str(self.path.relative_to(ROOT))

    @property
    def layer(self) -> str:
        """The package it belongs to, or its own name where it stands directly in `qflow`."""
        return [*self.name.split("."), "__init__"][1]

    @cached_property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text("utf-8")

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of its syntax tree."""
        return tuple(ast.walk(ast.parse(self.text)))

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """Every name that it imports, absolute, wherever in the file."""
        return tuple(name for node in self.nodes for name in self._imported(node))

    def where(self, node: ast.AST) -> str:
        """Return the place of a node, for messages."""
        return f"{self.shown}:{getattr(node, 'lineno', 0)}"

    def functions(self) -> Iterator[Function]:
        """Every function, methods and inner ones included."""
        return (node for node in self.nodes if isinstance(node, Function))

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Every call of a function or method of one of these names."""
        for node in self.nodes:
            if isinstance(node, ast.Call) and called(node) in names:
                yield node

    def _imported(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
            for _ in range(1, node.level):
                package = package.rpartition(".")[0]
            base = f"{package}.{node.module}" if node.level else str(node.module)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def called(call: ast.Call) -> str:
    """Return the last name of what a call calls."""
    target = call.func
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def _modules(folder: Path) -> Iterator[Module]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield Module(".".join(parts).removesuffix(".__init__"), path)


MODULES = tuple(_modules(PACKAGE))
BY_NAME = {module.name: module for module in MODULES}
SCRIPTS = tuple(sorted(LUA.glob("*.lua")))
INCLUDES = tuple(sorted((LUA / "include").glob("*.lua")))


def targets(module: Module) -> set[str]:
    """Return the modules of qflow that `module` imports."""
    found = set()
    for name in module.imports:
        if name.split(".")[0] == "qflow":
            found.add(name if name in BY_NAME else name.rpartition(".")[0])
    return found


def without_comments(lua: str) -> str:
    """Return Lua source without its comments."""
    return re.sub(r"--[^\n]*", "", lua)
