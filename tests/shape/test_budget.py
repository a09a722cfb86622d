"""The shape budget: no file, function or class grows past what one reads in one go. No exceptions."""

from __future__ import annotations

import ast

from shape.tree import INCLUDES, MODULES, ROOT, SCRIPTS, Function, Module

MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS, MAX_METHODS = 400, 60, 7, 18
MAX_LUA = 120
OTHERS = tuple(
    Module(path.stem, path)
    for folder in ("tests", "workers", "examples", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
)
NO_NOUNS = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc", "shared"}


def test_files() -> None:
    sizes = {m.shown: m.text.count("\n") for m in (*MODULES, *OTHERS)}
    assert {shown: lines for shown, lines in sizes.items() if lines > MAX_FILE} == {}


def test_functions() -> None:
    sizes = {
        f"{m.where(node)} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for m in (*MODULES, *OTHERS)
        for node in m.functions()
    }
    assert {name: lines for name, lines in sizes.items() if lines > MAX_FUNCTION} == {}


def test_parameters() -> None:
    counts = {
        f"{m.where(node)} {node.name}": _parameters(node) for m in MODULES for node in m.functions()
    }
    assert {name: count for name, count in counts.items() if count > MAX_PARAMETERS} == {}


def test_methods() -> None:
    counts = {
        f"{m.where(node)} {node.name}": len(_methods(node))
        for m in MODULES
        for node in m.nodes
        if isinstance(node, ast.ClassDef)
    }
    assert {name: count for name, count in counts.items() if count > MAX_METHODS} == {}


def test_scripts() -> None:
    sizes = {path.name: path.read_text().count("\n") for path in (*SCRIPTS, *INCLUDES)}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_LUA} == {}


def test_modules_are_named_for_a_thing() -> None:
    names = {m.shown for m in MODULES if NO_NOUNS & set(m.name.split("."))}
    assert names == set()


def _parameters(node: Function) -> int:
    arguments = node.args
    named = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    variadic = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return len([name for name in named if name not in ("self", "cls")]) + len(variadic)


def _methods(node: ast.ClassDef) -> set[str]:
    """Return the methods; a property is an attribute, the overloads of a method are one."""
    return {
        method.name
        for method in node.body
        if isinstance(method, Function)
        and not any(
            _name(mark) in ("property", "cached_property") for mark in method.decorator_list
        )
    }


def _name(mark: ast.expr) -> str:
    return mark.attr if isinstance(mark, ast.Attribute) else getattr(mark, "id", "")
