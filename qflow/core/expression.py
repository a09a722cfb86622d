"""Conditions and keys over events: CEL, compiled once to closures, null-safe and bounded in cost.

Google's parser reads the source (`cel`); what it means is decided here, because no CEL library has
missing paths as null, `&&` and `||` that return an operand, and comparisons of mixed kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from qflow.core import cel
from qflow.core.cel_closures import Closure, Compiler, Scope, bulk
from qflow.core.cel_operators import plain, truthy
from qflow.core.cel_syntax import Node
from qflow.errors import DefinitionError, ExpressionError

BUDGET: Final = 500_000
"""Nodes that one evaluation may visit, and characters in blocks: at worst some 0.1 s."""
MAX_RESULT: Final = 64 * 1024


class Expression:
    """A compiled expression. Immutable, and safe for threads."""

    __slots__ = ("_run", "_spare", "source", "tree", "variables")

    def __init__(self, source: str, variables: tuple[str, ...], tree: Node) -> None:
        compiler = Compiler(variables)
        self.source = source
        self.variables = variables
        self.tree = tree
        self._run: Closure = compiler.closure(tree)
        self._spare = [None] * (compiler.places - len(variables))

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def value(self, bindings: Mapping[str, Any], now_ms: int = 0) -> Any:
        """Return what the expression gives for these variables at that time.

        That is text, a number, a boolean, None, a moment (datetime), bytes, or a list or dict of them.
        Raises ExpressionError where it gives nothing, costs too much, or is over 64 KiB.
        """
        value = self.raw(bindings, now_ms)
        kind = type(value)
        if kind not in (str, list, dict):
            return value
        if bulk(value, MAX_RESULT) > MAX_RESULT:
            raise ExpressionError(f"its value is over the limit of {MAX_RESULT // 1024} KiB")
        return value if kind is str else _plain(value)

    def truthy(self, bindings: Mapping[str, Any], now_ms: int = 0) -> bool:
        """Return whether the value is anything but "", 0, false and null."""
        return truthy(self.raw(bindings, now_ms))

    def raw(self, bindings: Mapping[str, Any], now_ms: int = 0) -> Any:
        """Return the value whatever its size, elements as the event has them; raises as `value`."""
        scope: Scope = [BUDGET, now_ms]
        for name in self.variables:
            scope.append(plain(bindings.get(name)))  # twice as fast as extend
        scope += self._spare
        try:
            return self._run(scope)
        except ExpressionError:
            raise
        except RecursionError:
            raise ExpressionError("the data are nested too deeply") from None
        except Exception as error:  # data are anything; whoever asked expects one error only
            raise ExpressionError(f"it cannot be evaluated: {type(error).__name__}") from error


def compile(  # noqa: A001  # read as `expression.compile`
    source: str, variables: tuple[str, ...] = ("event",), where: str = "expression"
) -> Expression:
    """Return the expression of `source` over `variables`, the same one for the same text.

    Raises DefinitionError, naming `where` and the column, for what is no CEL, uses an unknown name
    or function, or is too long (4,096 characters) or too deep (32 levels).
    """
    if not isinstance(source, str):
        raise DefinitionError(
            f"{where} must be text such as \"event.data.plan == 'pro'\", not {type(source).__name__}"
        )
    try:
        return _compiled(source, variables)
    except cel.Malformed as malformed:
        raise DefinitionError(_message(source, malformed, where)) from None


@lru_cache(maxsize=1024)
def _compiled(source: str, variables: tuple[str, ...]) -> Expression:
    return Expression(source, variables, cel.parse(source))


def _message(source: str, malformed: cel.Malformed, where: str) -> str:
    problem = "".join(char if char.isprintable() else " " for char in malformed.problem)
    if malformed.at < 0:
        place = ""
    else:
        before = source[: malformed.at]
        line, column = before.count("\n") + 1, malformed.at - (before.rfind("\n") + 1) + 1
        place = f", column {column}" if "\n" not in source else f", line {line} column {column}"
    shown = source if len(source) <= 80 else f"{source[:79]}…"
    return f"{where}{place}: {problem}, in {shown!r}"


def _plain(value: Any) -> Any:
    value = plain(value)
    if type(value) is list:
        return [_plain(each) for each in value]
    if type(value) is dict:
        return {str(key): _plain(each) for key, each in value.items()}
    return value
