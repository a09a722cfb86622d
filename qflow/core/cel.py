"""Reads CEL with Google's own parser, and turns its tree into qflow's.

The library gives a parsed expression as bytes of the protocol buffer `cel.expr.ParsedExpr`, whose
form the CEL specification fixes; reading them takes the few lines below instead of a second library.
Macros come expanded into loops, and only into the shapes that `_macro` knows.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from qflow.core.cel_syntax import (
    CONDITIONAL,
    Call,
    Items,
    Literal,
    Macro,
    Name,
    Node,
    Pairs,
    Select,
)

MAX_SOURCE: Final = 4096

_PLACE: Final = re.compile(r"<input>:(-?\d+):(-?\d+): (.*)")
_SIGNED: Final = 1 << 63


class Malformed(Exception):
    """What is wrong with a source, and where: `at` counts its characters from 0, -1 is nowhere."""

    def __init__(self, problem: str, at: int = -1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = at


def parse(source: str) -> Node:
    """Return the tree of `source`; raise Malformed where it is no CEL."""
    if not source.strip():
        raise Malformed("it is empty")
    if len(source) > MAX_SOURCE:
        raise Malformed(f"it has {len(source)} characters, over {MAX_SOURCE}")
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise Malformed("a lone surrogate is no character", error.start) from None
    try:
        parsed = _environment().compile(source, disable_check=True).serialize()
    except RuntimeError as error:
        raise _explained(str(error), source) from None
    (message,) = (value for field, value in _fields(parsed) if field == 2)
    found = dict(_fields(message))
    return _Reader(found[3]).node(found[2])


@cache
def _environment() -> Any:
    from cel_expr_python import cel  # a service without expressions does not pay for it

    return cel.NewEnv()


def _explained(message: str, source: str) -> Malformed:
    """Return the library's first complaint as one short line."""
    if "recursion" in message:
        return Malformed("it is nested too deeply: 32 levels at most")
    found = _PLACE.search(message)
    if found is None:
        return Malformed(message.partition("\n")[0])
    line, column = int(found[1]), int(found[2])
    lines = source.splitlines(keepends=True)
    at = sum(map(len, lines[: line - 1])) + column - 1 if line > 0 else -1
    sign = source[max(at - 2, 0) : at + 1]
    if sign in ("===", "!=="):
        return Malformed(f"{sign} is no operator of CEL; write {sign[:2]}", at - 2)
    return Malformed(_problem(found[3]), at)


def _problem(said: str) -> str:
    said = said.removesuffix("[INVALID_ARGUMENT]").strip().removeprefix("Syntax error: ")
    if "<EOF>" in said and "extraneous" not in said:
        return "it ends too early"
    said, _, _ = said.partition(" expecting")
    unread = re.match(
        r"(?:token recognition error at:|no viable alternative at input) '(.*?)'?$", said
    )
    if unread:
        return f"cannot read {unread[1].strip()!r}"
    return re.sub(r"^(mismatched|extraneous) input", "unexpected", said)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Give field numbers and values of a protocol buffer: ints, or bytes of what is longer."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
            continue
        length = varint() if tag & 7 == 2 else 8  # else it is a double: CEL has no third kind
        yield tag >> 3, message[at : at + length]
        at += length


class _Reader:
    """Turns messages of `cel.expr.Expr` into nodes; it knows where each was written."""

    def __init__(self, source_info: bytes) -> None:
        entries = (dict(_fields(value)) for field, value in _fields(source_info) if field == 4)
        self._places = {entry.get(1, 0): entry.get(2, 0) for entry in entries}
        self._kinds: dict[int, Callable[[int, bytes], Node]] = {
            3: self._literal,
            4: lambda at, message: Name(at, dict(_fields(message))[1].decode()),
            5: self._select,
            6: self._call,
            7: lambda at, message: Items(
                at, tuple(self.node(value) for field, value in _fields(message) if field == 1)
            ),
            8: self._pairs,
            9: self._macro,
        }

    def node(self, message: bytes) -> Node:
        """Return the node of one `Expr`."""
        found = dict(_fields(message))
        at = self._places.get(found.pop(2, 0), -1)
        ((kind, value),) = found.items()
        return self._kinds[kind](at, value)

    def _literal(self, at: int, message: bytes) -> Node:
        ((kind, value),) = _fields(message)
        if kind == 1:
            value = None
        elif kind == 2:
            value = bool(value)
        elif kind == 3:
            value = value - 2 * _SIGNED if value >= _SIGNED else value
        elif kind == 5:
            (value,) = struct.unpack("<d", value)
        elif kind == 6:
            value = value.decode()
        return Literal(at, value)

    def _select(self, at: int, message: bytes) -> Node:
        found = dict(_fields(message))
        return Select(at, self.node(found[1]), found[2].decode(), bool(found.get(3)))

    def _call(self, at: int, message: bytes) -> Node:
        fields = list(_fields(message))
        target = next((self.node(value) for field, value in fields if field == 1), None)
        function = next(value.decode() for field, value in fields if field == 2)
        args = tuple(self.node(value) for field, value in fields if field == 3)
        return Call(at, function, target, args)

    def _pairs(self, at: int, message: bytes) -> Node:
        pairs = []
        for field, value in _fields(message):
            entry = dict(_fields(value)) if field == 2 else {}
            if 3 not in entry:
                raise Malformed("messages such as Name{field: …} do not exist here", at)
            pairs.append((self.node(entry[3]), self.node(entry[4])))
        return Pairs(at, tuple(pairs))

    def _macro(self, at: int, message: bytes) -> Node:
        found = dict(_fields(message))
        name, over = found[1].decode(), self.node(found[2])
        start, step = self.node(found[4]), self.node(found[6])
        assert isinstance(step, Call)
        if step.function in ("_&&_", "_||_"):
            kind = "all" if step.function == "_&&_" else "exists"
            return Macro(at, kind, over, name, step.args[1], None)
        condition, add = (
            (step.args[0], step.args[1]) if step.function == CONDITIONAL else (None, step)
        )
        assert isinstance(add, Call)
        if isinstance(start, Literal):
            return Macro(at, "exists_one", over, name, condition, None)
        added = add.args[1]
        assert isinstance(added, Items)
        (result,) = added.items
        if condition is not None and result == Name(result.at, name):
            return Macro(at, "filter", over, name, condition, None)
        return Macro(at, "map", over, name, condition, result)
