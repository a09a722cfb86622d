"""Rules of handlers: ids of steps, awaits, and nothing between steps that replay would do again."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from qflow.authoring.finding import Finding, at
from qflow.authoring.names import FunctionNode, dotted, handlers, imported, parents

_STEPS: Final = frozenset((
    "approval", "invoke", "map", "run", "send_event", "sleep", "sleep_until", "wait_for_event",
    "wait_for_signal",
))  # fmt: skip
_TAKES_FUNCTION: Final = ("run", "map")
_CLOCK_AND_CHANCE: Final = (
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
    "datetime.date.today", "os.getpid", "os.urandom", "random.", "secrets.", "time.time",
    "time.monotonic", "time.perf_counter", "time.localtime", "time.gmtime", "uuid.uuid",
)  # fmt: skip
_EFFECTS: Final = (
    "aiohttp.", "asyncio.create_subprocess", "asyncio.open_connection", "asyncio.to_thread", "boto3.",
    "httpx.", "logging.basicConfig", "open", "os.makedirs", "os.mkdir", "psycopg.", "redis.", "requests.",
    "shutil.", "smtplib.", "socket.", "sqlite3.", "tempfile.", "threading.", "time.sleep",
    "urllib.request.",
)  # fmt: skip
_IDLE: Final = (
    ast.AnnAssign, ast.Assign, ast.Attribute, ast.BinOp, ast.BoolOp, ast.Compare, ast.Expr, ast.If,
    ast.Return, ast.Subscript,
)  # fmt: skip
"""Where a coroutine that nothing awaits can stand."""
_METHODS: Final = ("write_text", "write_bytes", "read_text", "read_bytes", "unlink", "mkdir")


def handler_findings(tree: ast.Module) -> Iterator[Finding]:
    """What is wrong with the handlers of a module."""
    for handler, _mark in handlers(tree):
        yield from _Handler(tree, handler).findings()


class _Handler:
    """One handler, with what its module defines."""

    def __init__(self, tree: ast.Module, handler: FunctionNode) -> None:
        self._node = handler
        self._names = imported(tree)
        self._functions = {n.name: n for n in tree.body if isinstance(n, FunctionNode)}
        self._functions |= {
            n.name: n for n in ast.walk(handler) if isinstance(n, FunctionNode) and n is not handler
        }
        self._parents = parents(handler)
        self._seen: set[str] = set()

    def findings(self) -> Iterator[Finding]:
        """What is wrong with it."""
        yield from self._ids()
        if isinstance(self._node, ast.AsyncFunctionDef):
            yield from self._awaits()
        for node in self._between(self._node):
            yield from self._outside(node, self._node.name)

    def _ids(self) -> Iterator[Finding]:
        known: dict[str, ast.Call] = {}
        for call, method in self._steps():
            given = _argument(call, "id")
            if given is None:
                yield at(
                    call, "step-id", f"step.{method}(…) has no id", "give it one as first argument"
                )
            elif isinstance(given, ast.Constant) and isinstance(given.value, str):
                first = known.setdefault(given.value, call)
                if first is not call:
                    yield at(
                        given, "step-id", f"step id {given.value!r} stands in line {first.lineno} too",
                        "give each step its own id: results are kept under it",
                    )  # fmt: skip
            elif not _is_numbered(given):
                yield at(
                    given, "step-id", f"step id {ast.unparse(given)[:40]} is not known before it runs",
                    'write a text, or text with a counter: f"page-{number}"',
                )  # fmt: skip

    def _awaits(self) -> Iterator[Finding]:
        for call, method in self._steps():
            above = self._parents.get(call)
            if isinstance(above, _IDLE):
                yield at(
                    call, "step-await", f"step.{method}(…) is not awaited, so the step never runs",
                    "write `await` before it, or hand it to asyncio.gather",
                )  # fmt: skip

    def _steps(self) -> Iterator[tuple[ast.Call, str]]:
        for node in ast.walk(self._node):
            if isinstance(node, ast.Call) and (method := _step_method(node)) in _STEPS:
                yield node, method

    def _between(self, root: ast.AST) -> Iterator[ast.AST]:
        """Every node that runs in the handler itself: what is handed to a step does not."""
        for child in ast.iter_child_nodes(root):
            if isinstance(child, FunctionNode) or (
                root is self._node and child in self._node.decorator_list
            ):
                continue
            if isinstance(child, ast.Call) and _step_method(child) in _TAKES_FUNCTION:
                yield from self._arguments(child)
                continue
            yield child
            yield from self._between(child)

    def _arguments(self, call: ast.Call) -> Iterator[ast.AST]:
        handed = [arg for arg in call.args if not isinstance(arg, ast.Lambda)]
        for each in [call.func, *handed, *(k.value for k in call.keywords)]:
            yield each
            yield from self._between(each)

    def _outside(self, node: ast.AST, caller: str) -> Iterator[Finding]:
        if not isinstance(node, ast.Call):
            return
        name = dotted(node.func, self._names)
        what = _why_not(name, node, self._names)
        if what:
            where = "" if caller == self._node.name else f" (in {caller}, which the handler calls)"
            yield at(
                node, "outside-step", f"{name or ast.unparse(node.func)}(…) {what}{where}", _REMEDY
            )
            return
        called = self._functions.get(name)
        if called is not None and name not in self._seen:
            self._seen.add(name)
            for inner in self._between(called):
                yield from self._outside(inner, name)


_REMEDY: Final = "do it in a step: step.run(id, function)"


def _why_not(name: str, node: ast.Call, names: Mapping[str, str]) -> str:
    if name.startswith(_CLOCK_AND_CHANCE):
        return "between steps gives something else on every entry of the handler"
    if name == "asyncio.sleep":
        return "between steps is lost with the worker; step.sleep is kept"
    last = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    sends = last in ("send", "asend") and name.partition(".")[0] in ("app", ".client")
    if name in _EFFECTS or name.startswith(tuple(e for e in _EFFECTS if e.endswith("."))):
        return "between steps happens again on every entry of the handler"
    if name.startswith(tuple(e for e in _EFFECTS if "." in e)) or last in _METHODS or sends:
        return "between steps happens again on every entry of the handler"
    return ""


def _step_method(call: ast.Call) -> str:
    """Return `run` for `step.run(…)` and `step.options(…).run(…)`, "" for other calls."""
    if not isinstance(call.func, ast.Attribute):
        return ""
    receiver = call.func.value
    if isinstance(receiver, ast.Call) and isinstance(receiver.func, ast.Attribute):
        receiver = receiver.func.value if receiver.func.attr == "options" else receiver
    is_step = isinstance(receiver, ast.Name) and receiver.id == "step"
    return call.func.attr if is_step else ""


def _argument(call: ast.Call, name: str) -> ast.expr | None:
    if call.args:
        return call.args[0]
    return next((k.value for k in call.keywords if k.arg == name), None)


def _is_numbered(node: ast.expr) -> bool:
    """Whether an id is text that begins with a constant and goes on with names only."""
    if not isinstance(node, ast.JoinedStr) or not isinstance(node.values[0], ast.Constant):
        return False
    fields = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    return not any(isinstance(inner, ast.Call) for field in fields for inner in ast.walk(field))
