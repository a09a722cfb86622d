"""The functions of expressions. Each takes plain values and gives one; null gives null where the
table in docs/expressions.md says nothing else. Time comes as an argument: there is no clock here.
Messages name kinds, never values: they are logged, and data of events are not.
"""

from __future__ import annotations

import json
from base64 import b64decode as _b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from qflow.core.cel_operators import as_text, from_ms, kind_of, moment, number
from qflow.core.durations import to_ms as length_ms
from qflow.errors import DefinitionError, ExpressionError

MAX_MATCHED: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how it is called, with how many arguments, and what it does.

    `method` says that it is `text.name(…)`; `clock` that it takes the time of evaluation first;
    2 ** `cost` characters cost as much as one node of a tree.
    """

    name: str
    arguments: int
    call: Callable[..., Any]
    method: bool = False
    clock: bool = False
    cost: int = 4


def size(value: Any) -> int:
    """Return how many characters, elements or entries there are; null has none."""
    if value is None:
        return 0
    if type(value) in (str, list, dict, bytes):
        return len(value)
    raise ExpressionError(f"size() needs text, a list or a map, not {kind_of(value)}")


def _text(value: Any, name: str) -> str:
    try:
        return as_text(value)
    except ExpressionError:
        remedy = "; write `x in list`" if name == "contains" and type(value) is list else ""
        raise ExpressionError(f"{name}() needs text, not {kind_of(value)}{remedy}") from None


def _date(value: Any) -> Any:
    if value is None or kind_of(value) == "a date":
        return value
    if type(value) in (int, float):
        return from_ms(value)
    when = moment(value) if type(value) is str else None
    if when is None:
        raise ExpressionError("date() needs ISO 8601 text or milliseconds")
    return when


def _int(value: Any) -> int | None:
    value = _number(value, "int")
    try:
        return None if value is None else int(value)
    except (OverflowError, ValueError):
        raise ExpressionError("int() needs a finite number") from None


def _double(value: Any) -> float | None:
    value = _number(value, "double")
    try:
        return None if value is None else float(value)
    except OverflowError:
        raise ExpressionError("double() cannot hold so large a number") from None


def _number(value: Any, name: str) -> Any:
    if value is None or type(value) in (int, float, bool):
        return value
    read = number(value.strip()) if type(value) is str else None
    if read is None:
        raise ExpressionError(f"{name}() needs a number or text that reads as one")
    return read


def _b64(value: Any) -> str | None:
    try:
        return (
            None if value is None else _b64decode(_text(value, "b64decode"), validate=True).decode()
        )
    except ValueError:
        raise ExpressionError("b64decode() needs base64 of UTF-8 text") from None


def _json(value: Any) -> Any:
    if value is None:
        return None
    try:
        return json.loads(_text(value, "json_parse"))
    except (ValueError, RecursionError):
        raise ExpressionError("json_parse() needs JSON text") from None


def _shifted(name: str, sign: int) -> Callable[[int, Any], Any]:
    def shifted(now_ms: int, length: Any) -> Any:
        try:
            return from_ms(now_ms + sign * length_ms(length, f"{name}()"))
        except DefinitionError:
            raise ExpressionError(f"{name}() needs a length of time such as '1h30m'") from None

    return shifted


def _of_text(name: str, method: str) -> Callable[[Any, Any], bool]:
    def holds(value: Any, part: Any) -> bool:
        if value is None or part is None:
            return False
        return bool(getattr(_text(value, name), method)(_text(part, name)))

    return holds


def _cased(name: str, method: str) -> Callable[[Any], Any]:
    return lambda value: None if value is None else getattr(_text(value, name), method)()


def matcher(pattern: str) -> Callable[[Any], bool]:
    """Return what says whether `pattern` is found in a text; raise ValueError for a bad pattern.

    The regular expressions are Rust's (through pydantic), which take time linear in the text.
    """
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # 70 ms at import

    try:
        found = SchemaValidator(core_schema.str_schema(pattern=pattern)).isinstance_python
    except SchemaError as error:
        raise ValueError(str(error).rstrip().splitlines()[-1].removeprefix("error: ")) from None

    def matches(value: Any) -> bool:
        text = "" if value is None else _text(value, "matches")
        if len(text) > MAX_MATCHED:
            raise ExpressionError(f"matches() looks at {MAX_MATCHED} characters at most")
        return value is not None and found(text)

    return matches


FUNCTIONS: Final = {
    function.name: function
    for function in (
        Function("size", 1, size, cost=30),
        Function("int", 1, _int),
        Function("double", 1, _double),
        Function("string", 1, lambda value: _text(value, "string")),
        Function("date", 1, _date),
        Function("lowercase", 1, _cased("lowercase", "lower")),
        Function("uppercase", 1, _cased("uppercase", "upper")),
        Function("b64decode", 1, _b64),
        Function("json_parse", 1, _json, cost=2),
        Function("now", 0, from_ms, clock=True),
        Function("now_plus", 1, _shifted("now_plus", 1), clock=True),
        Function("now_minus", 1, _shifted("now_minus", -1), clock=True),
        Function("contains", 1, _of_text("contains", "__contains__"), method=True),
        Function("startsWith", 1, _of_text("startsWith", "startswith"), method=True),
        Function("endsWith", 1, _of_text("endsWith", "endswith"), method=True),
        Function("matches", 1, matcher, method=True),
    )
}
MACROS: Final = ("has", "all", "exists", "exists_one", "filter", "map")
