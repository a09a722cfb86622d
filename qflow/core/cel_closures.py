"""Compiles the tree of an expression to closures over a scope, and charges what they cost.

A scope is a list: the cost that is left, the time in milliseconds, the variables, and a place for
each macro's variable, by depth. Names and functions are looked up here, once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from qflow.core import cel_operators as operators
from qflow.core.cel import Malformed
from qflow.core.cel_functions import FUNCTIONS, MACROS, Function, matcher
from qflow.core.cel_operators import kind_of, plain, truthy
from qflow.core.cel_syntax import (
    CONDITIONAL,
    INDEX,
    Call,
    Items,
    Literal,
    Macro,
    Name,
    Node,
    Pairs,
    Select,
    weight,
)
from qflow.errors import ExpressionError

Scope: TypeAlias = list[Any]
Closure: TypeAlias = Callable[[Scope], Any]

FIRST: Final = 2
"""The place of the first variable in a scope."""

_NUMBERS: Final = frozenset({int, float})
_TEXT: Final = frozenset({str})
_AS_IS: Final = frozenset({str, int, float, bool, type(None), dict, list})
_LONG: Final = 64

_COMPARED: Final[dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], bool]]]] = {
    "_==_": (operator.eq, operators.equal),
    "_!=_": (operator.ne, lambda a, b: not operators.equal(a, b)),
    "_<_": (operator.lt, operators.less),
    "_>_": (operator.gt, lambda a, b: operators.less(b, a)),
    "_<=_": (operator.le, lambda a, b: operators.less(a, b) or operators.equal(a, b)),
    "_>=_": (operator.ge, lambda a, b: operators.less(b, a) or operators.equal(a, b)),
}
"""For operands of one simple kind, and for all others."""


def spend(scope: Scope, cost: int) -> None:
    """Take `cost` from what is left; raise ExpressionError where that is too little."""
    scope[0] -= cost
    if scope[0] < 0:
        raise ExpressionError("it costs too much: too many elements or too long texts")


def bulk(value: Any, most: int) -> int:
    """Return the number of characters and elements in `value`, or about `most` where it has more."""
    total, left = 0, [value]
    while left and total <= most:
        value = left.pop()
        kind = type(value)
        if kind is str:
            total += len(value)
        elif kind is list:
            left += value
        elif kind is dict:
            left += value.values()
            total += len(value)
        total += 1
    return total


def _charge(scope: Scope, *values: Any) -> None:
    for value in values:
        kind = type(value)
        if kind is str and len(value) > _LONG:
            spend(scope, len(value) >> 4)
        elif kind is list or kind is dict:
            spend(scope, bulk(value, scope[0]))


class Compiler:
    """Compiles one tree; afterwards `places` tells how long its scopes are."""

    def __init__(self, variables: tuple[str, ...]) -> None:
        self._names = {name: FIRST + i for i, name in enumerate(variables)}
        self._depth = FIRST + len(variables)
        self.places = self._depth

    def closure(self, node: Node) -> Closure:
        """Return the closure of a node; raise Malformed for what can never be evaluated."""
        match node:
            case Literal(value=value):
                return lambda scope: value
            case Name():
                return self._path(node, ())
            case Select(test=False):
                return self._select(node)
            case Select(of=of, field=field):
                whole = self.closure(of)
                return lambda scope: type(found := whole(scope)) is dict and field in found
            case Items(items=items):
                return self._items(items)
            case Pairs(pairs=pairs):
                return self._pairs(pairs)
            case Macro():
                return self._macro(node)
            case Call():
                return self._call(node)

    def _path(self, name: Name, keys: tuple[str, ...]) -> Closure:
        place = self._names.get(name.name)
        if place is None:
            known = ", ".join(self._names)
            raise Malformed(f"unknown name {name.name!r}; known here: {known}", name.at)
        if not keys:
            return lambda scope: scope[place]

        def path(scope: Scope) -> Any:
            value = scope[place]
            for key in keys:
                if type(value) is not dict:
                    value = plain(value)
                    if type(value) is not dict:
                        return None
                value = value.get(key)
            return value if type(value) in _AS_IS else plain(value)

        return path

    def _select(self, node: Select) -> Closure:
        keys, of = [node.field], node.of
        while isinstance(of, Select) and not of.test:
            keys.append(of.field)
            of = of.of
        if isinstance(of, Name):
            return self._path(of, tuple(reversed(keys)))
        whole, field = self.closure(node.of), node.field
        return lambda scope: _at(whole(scope), field)

    def _items(self, items: tuple[Node, ...]) -> Closure:
        if all(isinstance(item, Literal) for item in items):
            values = [item.value for item in items if isinstance(item, Literal)]
            return lambda scope: values
        closures = [self.closure(item) for item in items]
        return lambda scope: [closure(scope) for closure in closures]

    def _pairs(self, pairs: tuple[tuple[Node, Node], ...]) -> Closure:
        closures = [(self.closure(key), self.closure(value)) for key, value in pairs]
        return lambda scope: {
            operators.as_text(key(scope)): value(scope) for key, value in closures
        }

    def _macro(self, node: Macro) -> Closure:
        over, place = self.closure(node.over), self._depth
        outer = self._names
        self._names, self._depth = {**outer, node.name: place}, place + 1
        self.places = max(self.places, self._depth)
        condition = None if node.condition is None else self.closure(node.condition)
        result = None if node.result is None else self.closure(node.result)
        self._names, self._depth = outer, place
        cost = 1 + sum(weight(part) for part in (node.condition, node.result) if part is not None)
        wanted = node.kind != "all"  # which ends at the first element that fails

        def elements(scope: Scope) -> Iterator[Any]:
            for element in _elements(over(scope), node.kind):
                spend(scope, cost)
                scope[place] = plain(element)
                if condition is None or truthy(condition(scope)) is wanted:
                    yield scope[place] if result is None else result(scope)

        return _ENDS[node.kind](elements)

    def _call(self, node: Call) -> Closure:
        name, args = node.function, node.args
        if name in _COMPARED:
            return self._compared(*_COMPARED[name], *args)
        if name in _BUILT:
            return _BUILT[name](*(self.closure(arg) for arg in args))
        function = FUNCTIONS.get(name)
        if function is None:
            known = ", ".join(sorted((*FUNCTIONS, *MACROS)))
            raise Malformed(f"unknown function {name!r}; there are {known}", node.at)
        given = args if node.target is None else (node.target, *args)
        _check_call(function, node, len(given))
        if name == "matches":
            return self._matches(node)
        return self._function(function, node.at, given)

    def _compared(
        self,
        simple: Callable[[Any, Any], Any],
        loose: Callable[[Any, Any], bool],
        left: Node,
        right: Node,
    ) -> Closure:
        a, b = self.closure(left), self.closure(right)
        kind = type(right.value) if isinstance(right, Literal) else None
        if isinstance(right, Literal) and kind in (str, int, float):
            fast, fixed = (_TEXT if kind is str else _NUMBERS), right.value

            def with_literal(scope: Scope) -> Any:
                value = a(scope)
                if type(value) in fast:
                    return simple(value, fixed)
                return loose(value, fixed)

            return with_literal

        def compared(scope: Scope) -> Any:
            x, y = a(scope), b(scope)
            if type(x) in _NUMBERS and type(y) in _NUMBERS:
                return simple(x, y)
            _charge(scope, x, y)
            return loose(x, y)

        return compared

    def _matches(self, node: Call) -> Closure:
        (pattern,), target = node.args, node.target
        assert target is not None
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            raise Malformed("matches() needs its pattern as text in the expression", pattern.at)
        try:
            found = matcher(pattern.value)
        except ValueError as error:
            raise Malformed(f"matches() cannot use the pattern: {error}", pattern.at) from None
        text = self.closure(target)

        def matches(scope: Scope) -> bool:
            value = text(scope)
            _charge(scope, value)
            return found(value)

        return matches

    def _function(self, function: Function, at: int, given: tuple[Node, ...]) -> Closure:
        call, closures = function.call, [self.closure(arg) for arg in given]
        fixed = [arg.value for arg in given if isinstance(arg, Literal)]
        if len(fixed) == len(given):
            try:
                value = call(0, *fixed) if function.clock else call(*fixed)
            except ExpressionError as error:
                raise Malformed(str(error), at) from None
            if not function.clock:
                return lambda scope: value
        if function.clock:
            return lambda scope: call(scope[1], *(closure(scope) for closure in closures))

        def called(scope: Scope) -> Any:
            values = [closure(scope) for closure in closures]
            for value in values:
                if type(value) is str and len(value) > _LONG:
                    spend(scope, len(value) >> function.cost)
            return call(*values)

        return called


def _check_call(function: Function, node: Call, given: int) -> None:
    name = function.name
    if function.method and node.target is None:
        raise Malformed(f"write text.{name}(part)", node.at)
    if node.target is not None and not function.method and name != "size":
        raise Malformed(f"write {name}(…), not x.{name}(…)", node.at)
    wanted = function.arguments + function.method
    if given != wanted:
        noun = "argument" if function.arguments == 1 else "arguments"
        raise Malformed(f"{name}() takes {function.arguments or 'no'} {noun}", node.at)


def _at(whole: Any, key: Any) -> Any:
    """Return what stands in a map or list at `key`; null where nothing does."""
    if type(whole) is dict:
        kind = type(key)
        return plain(whole.get(key if kind is str else operators.as_text(key)))
    if type(whole) is list and type(key) is int and 0 <= key < len(whole):
        return plain(whole[key])
    return None


def _elements(whole: Any, macro: str) -> Iterator[Any]:
    if whole is None:
        return iter(())
    if type(whole) in (list, dict):
        return iter(whole)
    raise ExpressionError(f"{macro}() needs a list or a map, not {kind_of(whole)}")


def _and(a: Closure, b: Closure) -> Closure:
    def both(scope: Scope) -> Any:
        value = a(scope)
        return b(scope) if truthy(value) else value

    return both


def _or(a: Closure, b: Closure) -> Closure:
    def either(scope: Scope) -> Any:
        value = a(scope)
        return value if truthy(value) else b(scope)

    return either


def _conditional(condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    return lambda scope: then(scope) if truthy(condition(scope)) else otherwise(scope)


def _in(element: Closure, whole: Closure) -> Closure:
    def within(scope: Scope) -> bool:
        wanted, found = element(scope), whole(scope)
        if type(found) is dict:
            return type(wanted) is str and wanted in found
        if type(found) is list:
            simple = type(wanted) not in (list, dict)
            spend(scope, len(found) if simple else bulk(found, scope[0]))
            return any(operators.equal(wanted, plain(each)) for each in found)
        if found is None:
            return False
        remedy = "; write text.contains(part)" if type(found) is str else ""
        raise ExpressionError(f"`in` needs a list or a map, not {kind_of(found)}{remedy}")

    return within


def _add(a: Closure, b: Closure) -> Closure:
    def added(scope: Scope) -> Any:
        x, y = a(scope), b(scope)
        for value in (x, y):
            if type(value) in (str, list) and len(value) > _LONG:
                spend(scope, len(value) >> 4)
        return operators.add(x, y)

    return added


def _arithmetic(sign: str) -> Callable[[Closure, Closure], Closure]:
    def calculated(a: Closure, b: Closure) -> Closure:
        return lambda scope: operators.arithmetic(sign, a(scope), b(scope))

    return calculated


_BUILT: Final[dict[str, Callable[..., Closure]]] = {
    "_&&_": _and,
    "_||_": _or,
    CONDITIONAL: _conditional,
    INDEX: lambda whole, key: lambda scope: _at(whole(scope), key(scope)),
    "!_": lambda a: lambda scope: not truthy(a(scope)),
    "-_": lambda a: lambda scope: operators.arithmetic("*", a(scope), -1),
    "@in": _in,
    "_+_": _add,
    "_-_": _arithmetic("-"),
    "_*_": _arithmetic("*"),
    "_/_": _arithmetic("/"),
    "_%_": _arithmetic("%"),
}
_ENDS: Final[dict[str, Callable[[Callable[[Scope], Iterator[Any]]], Closure]]] = {
    "exists": lambda elements: lambda scope: any(True for _ in elements(scope)),
    "all": lambda elements: lambda scope: not any(True for _ in elements(scope)),
    "exists_one": lambda elements: lambda scope: sum(1 for _ in elements(scope)) == 1,
    "filter": lambda elements: lambda scope: list(elements(scope)),
    "map": lambda elements: lambda scope: list(elements(scope)),
}
