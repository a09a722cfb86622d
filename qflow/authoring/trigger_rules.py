"""Triggers and options of `@app.function(…)`, checked by the very code that defines functions.

Only literal values are evaluated: constants, containers, and calls of qflow's own option classes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, Final

from qflow.authoring.finding import Finding, at
from qflow.authoring.names import FunctionNode, dotted, handlers, imported
from qflow.core.control import control_spec
from qflow.core.durations import to_ms
from qflow.core.function import check_id
from qflow.core.retry import check_retries
from qflow.core.trigger import parse_triggers
from qflow.errors import QflowError

_OPTIONS: Final = (
    "Backoff", "Batch", "CancelOn", "Concurrency", "Cron", "Debounce", "EventTrigger", "Priority",
    "RateLimit", "Singleton", "Throttle", "Timeouts",
)  # fmt: skip
_REMEDY: Final = "correct it; the function cannot be defined as it stands"
_ARGUMENTS: Final = ("event", "events", "step", "run")


class _Unknown(Exception):
    """A value that only running the code would tell."""


def trigger_findings(tree: ast.Module) -> Iterator[Finding]:
    """What `@app.function` would refuse, and ids that stand twice."""
    names = imported(tree)
    constants = _constants(tree)
    known: dict[str, int] = {}
    for handler, mark in handlers(tree):
        yield from _signature(handler)
        values: dict[str, Any] = {}
        arguments = {"id": mark.args[0]} if mark.args else {}
        arguments |= {k.arg: k.value for k in mark.keywords if k.arg}
        for name, node in arguments.items():
            try:
                values[name] = _value(node, names, constants)
            except _Unknown:
                continue
            except (QflowError, TypeError, ValueError) as error:
                yield at(node, _rule(name), str(error), _REMEDY)
        if "trigger" not in arguments:
            yield at(
                mark, "trigger", "the function has no trigger", 'give one: trigger="user/created"'
            )
        yield from _checked(arguments, values)
        function = values.get("id")
        if isinstance(function, str) and known.setdefault(function, mark.lineno) != mark.lineno:
            yield at(
                mark, "function-id", f"function id {function!r} stands in line {known[function]} too",
                "give each function its own id",
            )  # fmt: skip


def _checked(arguments: Mapping[str, ast.expr], values: Mapping[str, Any]) -> Iterator[Finding]:
    where = f"function {values.get('id', '?')!r}"
    checks: dict[str, Any] = {
        "id": check_id,
        "trigger": lambda value: parse_triggers(value, where),
        "retries": lambda value: check_retries(value, where),
        "timeout": lambda value: to_ms(value, f"{where}: timeout"),
    }
    control = {n: v for n, v in values.items() if n not in (*checks, "name", "backoff")}
    for name, value in values.items():
        if name in checks:
            try:
                checks[name](value)
            except (QflowError, TypeError, ValueError) as error:
                yield at(arguments[name], _rule(name), str(error), _REMEDY)
    try:
        control_spec(control, str(values.get("id", "?")), "app", where)  # type: ignore[arg-type]
    except (QflowError, TypeError, ValueError) as error:
        first = next((arguments[name] for name in control), None)
        if first is not None:
            yield at(first, "option", str(error), _REMEDY)


def _signature(handler: FunctionNode) -> Iterator[Finding]:
    given = handler.args
    plain = [*given.posonlyargs, *given.args][
        : len(given.posonlyargs + given.args) - len(given.defaults)
    ]
    for argument in plain:
        if argument.arg not in _ARGUMENTS:
            yield at(
                argument, "handler", f"a handler cannot have an argument {argument.arg!r}",
                f"it may take {', '.join(_ARGUMENTS)}, by name",
            )  # fmt: skip
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(handler)):
        yield at(handler, "handler", "a handler cannot be a generator", "remove `yield`")


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _value(
    node: ast.expr, names: Mapping[str, str], constants: Mapping[str, ast.expr], depth: int = 0
) -> Any:
    """Return the value of a literal; raise _Unknown for anything that is none."""
    if depth > 20:
        raise _Unknown

    def inner(each: ast.expr) -> Any:
        return _value(each, names, constants, depth + 1)

    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [inner(item) for item in items]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Name(id=name) if name in constants:
            return inner(constants[name])
        case ast.Call(func=func, args=args, keywords=keywords):
            option = dotted(func, names).removeprefix("qflow.")
            if option in _OPTIONS and all(k.arg for k in keywords):
                import qflow

                given = {str(k.arg): inner(k.value) for k in keywords}
                return getattr(qflow, option)(*map(inner, args), **given)
    raise _Unknown


def _rule(argument: str) -> str:
    return {"trigger": "trigger", "id": "function-id"}.get(argument, "option")
