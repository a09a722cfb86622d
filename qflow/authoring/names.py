"""Names in source text: what a dotted name means once the imports of its module are known."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def imported(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name of a module stands for: `dt` for `datetime.datetime`.

    A relative import keeps its dots: `.client.app`.
    """
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            home = "." * node.level + (node.module or "")
            for alias in node.names:
                joint = "" if home.endswith(".") else "."
                found[alias.asname or alias.name] = f"{home}{joint}{alias.name}"
    return found


def dotted(node: ast.AST, names: Mapping[str, str]) -> str:
    """Return the full name that an expression such as `dt.now` stands for, "" for any other one."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(names.get(node.id, node.id))
    return ".".join(reversed(parts))


def handlers(tree: ast.Module) -> Iterator[tuple[FunctionNode, ast.Call]]:
    """Every function that `@….function(…)` decorates, with that call."""
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            for mark in node.decorator_list:
                if (
                    isinstance(mark, ast.Call)
                    and isinstance(mark.func, ast.Attribute)
                    and mark.func.attr == "function"
                ):
                    yield node, mark


def parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    """Return the parent of every node."""
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
