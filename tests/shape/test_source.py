"""What the package's source never says, and names that must agree with their list."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from shape.tree import INCLUDES, MODULES, SCRIPTS, Module, without_comments

from qflow import crashpoints, telemetry


def test_keys_are_named_in_one_module() -> None:
    prefixed = {
        module.where(node)
        for module in MODULES
        if module.name != "qflow.store.keys"
        for node in module.nodes
        if isinstance(node, ast.Constant) and _begins_like_a_key(node.value)
    }
    in_lua = {
        path.name
        for path in (*SCRIPTS, *INCLUDES)
        if re.search(r"""['"](qflow|rq):""", without_comments(path.read_text()))
    }
    assert (prefixed, in_lua) == (set(), set())


def test_nothing_is_unpickled_or_evaluated() -> None:
    loaders = {"pickle", "cloudpickle", "marshal", "shelve", "dill"}
    pickled = {m.shown for m in MODULES for n in m.imports if n.split(".")[0] in loaders}
    evaluated = {
        m.where(call) for m in MODULES for call in m.calls("eval", "exec") if _is_builtin(call)
    }
    assert (pickled, evaluated) == (set(), set())


def test_every_crash_point_is_reached_and_listed() -> None:
    reached = {
        _literal(module, call.args[0]) for module in MODULES for call in module.calls("reach")
    }
    assert reached == set(crashpoints.POINTS)


def test_every_telemetry_event_is_emitted_with_its_fields() -> None:
    emitted: dict[str, set[frozenset[str]]] = defaultdict(set)
    for module in MODULES:
        for call in module.calls("emit"):
            fields = frozenset(str(keyword.arg) for keyword in call.keywords)
            for name in _literals(module, call.args[0]):
                emitted[name].add(fields)
    listed = {name: {_fields(text)} for name, text in telemetry.EVENTS.items()}
    assert dict(emitted) == listed


def _begins_like_a_key(value: object) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return isinstance(text, str) and text.startswith(("qflow:", "rq:"))


def _is_builtin(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name)


def _fields(text: str) -> frozenset[str]:
    plain = re.sub(r"\(.*?\)", "", text)
    return frozenset(field.strip() for field in plain.split(",") if field.strip())


def _literals(module: Module, node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*_literals(module, node.body), *_literals(module, node.orelse)]
    return [_literal(module, node)]


def _literal(module: Module, node: ast.expr) -> str:
    assert isinstance(node, ast.Constant), f"{module.where(node)}: write the name here"
    return str(node.value)
