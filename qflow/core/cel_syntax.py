"""The tree of an expression, and its text again.

Plain values that say what was written; `cel` makes them, `cel_closures` compiles them and
`explain` walks them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the source."""

    at: int
    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, of the evaluation or of a macro."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`of.field`; with `test` it is `has(of.field)`."""

    at: int
    of: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """An operator (named as CEL names it: `_&&_`, `_[_]`) or a function, of a target or free."""

    at: int
    function: str
    target: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """`[a, b]`."""

    at: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """`{a: b}`."""

    at: int
    pairs: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """`over.kind(name, condition, result)`; all, exists, exists_one and filter have no result,
    and map may have no condition."""

    at: int
    kind: str
    over: Node
    name: str
    condition: Node | None
    result: Node | None


Node: TypeAlias = Literal | Name | Select | Call | Items | Pairs | Macro

INFIX: Final = {
    "_||_": ("||", 1), "_&&_": ("&&", 2),
    "_==_": ("==", 3), "_!=_": ("!=", 3), "_<_": ("<", 3), "_<=_": ("<=", 3),
    "_>_": (">", 3), "_>=_": (">=", 3), "@in": ("in", 3),
    "_+_": ("+", 4), "_-_": ("-", 4), "_*_": ("*", 5), "_/_": ("/", 5), "_%_": ("%", 5),
}  # fmt: skip
PREFIX: Final = {"!_": "!", "-_": "-"}
CONDITIONAL: Final = "_?_:_"
INDEX: Final = "_[_]"
_UNARY: Final = 6
_MEMBER: Final = 7


def parts(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below."""
    match node:
        case Select(of=of):
            return (of,)
        case Call(target=target, args=args):
            return args if target is None else (target, *args)
        case Items(items=items):
            return items
        case Pairs(pairs=pairs):
            return tuple(part for pair in pairs for part in pair)
        case Macro(over=over, condition=condition, result=result):
            return tuple(part for part in (over, condition, result) if part is not None)
        case _:
            return ()


def weight(node: Node) -> int:
    """Return how many nodes there are from here down: what one evaluation costs."""
    return 1 + sum(map(weight, parts(node)))


def text(node: Node, tightness: int = 0) -> str:
    """Return the source of `node`, in brackets where it binds less than `tightness`."""
    match node:
        case Literal(value=value):
            return _literal(value)
        case Name(name=name):
            return name
        case Select(of=of, field=field, test=test):
            path = f"{text(of, _MEMBER)}.{field if field.isidentifier() else f'`{field}`'}"
            return f"has({path})" if test else path
        case Items(items=items):
            return f"[{_list(items)}]"
        case Pairs(pairs=pairs):
            return "{" + ", ".join(f"{text(key)}: {text(value)}" for key, value in pairs) + "}"
        case Macro(kind=kind, over=over, name=name, condition=condition, result=result):
            given = ", ".join([name, *(text(n) for n in (condition, result) if n is not None)])
            return f"{text(over, _MEMBER)}.{kind}({given})"
        case Call():
            own, tight = _call(node)
            return f"({own})" if tight < tightness else own


def _call(node: Call) -> tuple[str, int]:
    args = node.args
    if node.function in INFIX:
        sign, tight = INFIX[node.function]
        after = tight + (sign not in ("&&", "||"))  # those two may be grouped either way
        return f"{text(args[0], tight)} {sign} {text(args[1], after)}", tight
    if node.function in PREFIX:
        return PREFIX[node.function] + text(args[0], _UNARY), _UNARY
    if node.function == CONDITIONAL:
        return f"{text(args[0], 1)} ? {text(args[1], 1)} : {text(args[2])}", 0
    if node.function == INDEX:
        return f"{text(args[0], _MEMBER)}[{text(args[1])}]", _MEMBER
    target = "" if node.target is None else text(node.target, _MEMBER) + "."
    return f"{target}{node.function}({_list(args)})", _MEMBER


def _list(nodes: tuple[Node, ...]) -> str:
    return ", ".join(map(text, nodes))


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return (
            "'"
            + json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
            + "'"
        )
    return repr(value) if isinstance(value, (bytes, float)) else json.dumps(value)
