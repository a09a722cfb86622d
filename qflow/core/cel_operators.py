"""What the operators of expressions do with values of any kinds: loosely typed, null-safe.

null comes before everything else; a text that reads as a number is compared with a number as that
number; kinds that have no order are not equal, and neither is less. Nothing here costs more than the
size of its operands, which callers account for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import fmod, isfinite
from typing import Any, Final

from qflow.errors import ExpressionError

PLAIN: Final = frozenset({str, int, float, bool, type(None), dict, list, datetime, bytes})
"""The types that values have within an expression."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_LONGEST_NUMBER: Final = 40
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LARGEST: Final = 1 << 63


def plain(value: Any) -> Any:
    """Return a value of an event as one of the types that expressions know."""
    kind = type(value)
    if kind in PLAIN and kind is not datetime:
        return value
    match value:
        case datetime():
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value
        case date():
            return datetime.combine(value, time(), UTC)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return dict(value)
        case set() | frozenset() | tuple() | list():
            return list(value)
        case str():
            return str.__str__(value)
        case _:
            return str(value)


def kind_of(value: Any) -> str:
    """Return what to call a value in a message."""
    kinds = {
        str: "text", bool: "true or false", type(None): "null", dict: "a map", list: "a list",
        datetime: "a date", bytes: "bytes",
    }  # fmt: skip
    return kinds.get(type(value), "a number")


def truthy(value: Any) -> bool:
    """Return False for "", 0, false and null, True for everything else."""
    return bool(value) or type(value) in (dict, list, bytes)


def number(text: str) -> int | float | None:
    """Return the number that a text reads as, or None."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def moment(text: str) -> datetime | None:
    """Return the moment that an ISO 8601 text names (UTC where it has no zone), or None."""
    if len(text) > 64:
        return None
    try:
        return plain(datetime.fromisoformat(text))  # type: ignore[no-any-return]
    except ValueError:
        return None


def to_ms(when: datetime) -> float:
    """Return a moment in milliseconds since the epoch, as `event.ts` has it."""
    return (when - _EPOCH) / _MILLISECOND


def from_ms(ms: float) -> datetime:
    """Return the moment of that many milliseconds since the epoch."""
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except (OverflowError, ValueError):
        raise ExpressionError("a number of milliseconds is too large for a date") from None


def _alike(a: Any, b: Any) -> tuple[Any, Any] | None:
    """Return the two as values that Python orders, or None where their kinds have no order."""
    one, other = type(a), type(b)
    if one in (int, float) and other in (int, float):
        return a, b
    if one is other and one in (str, bool, datetime, bytes):
        return a, b
    if one is str and other in (int, float):
        read = number(a)
        return None if read is None else (read, b)
    if one is datetime and other in (int, float):
        return to_ms(a), b
    if one is str and other is datetime:
        when = moment(a)
        return None if when is None else (when, b)
    if (one in (int, float) and other in (str, datetime)) or (one is datetime and other is str):
        swapped = _alike(b, a)
        return None if swapped is None else (swapped[1], swapped[0])
    return None


def equal(a: Any, b: Any) -> bool:
    """Return whether two values are the same, numbers and texts of numbers by their number."""
    if a is None or b is None:
        return a is b
    if type(a) is list and type(b) is list:
        return len(a) == len(b) and all(
            equal(plain(x), plain(y)) for x, y in zip(a, b, strict=True)
        )
    if type(a) is dict and type(b) is dict:
        return a.keys() == b.keys() and all(equal(plain(a[key]), plain(b[key])) for key in a)
    alike = _alike(a, b)
    return alike is not None and bool(alike[0] == alike[1])


def less(a: Any, b: Any) -> bool:
    """Return whether `a` comes before `b`; null comes before everything else."""
    if a is None or b is None:
        return a is None and b is not None
    alike = _alike(a, b)
    return alike is not None and bool(alike[0] < alike[1])


def as_text(value: Any) -> str:
    """Return the text of a scalar, "" for null; raise ExpressionError for what has none."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return str(int(value)) if value.is_integer() and abs(value) < _LARGEST else repr(value)
    if kind is int:
        if abs(value) >= 1 << 2000:  # Python itself refuses to write very long ones
            raise ExpressionError("a number has too many digits to be text")
        return str(value)
    if kind is datetime:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")  # type: ignore[no-any-return]
    raise ExpressionError(f"{kind_of(value)} is no text")


def add(a: Any, b: Any) -> Any:
    """Return the sum of numbers, the texts or lists joined; null adds nothing."""
    if a is None or b is None:
        return b if a is None else a
    if type(a) is list and type(b) is list:
        return a + b
    if type(a) is str or type(b) is str:
        return as_text(a) + as_text(b)
    return _bounded(_operand(a, "+") + _operand(b, "+"))


def arithmetic(sign: str, a: Any, b: Any) -> Any:
    """Return `a sign b` for -, *, / and %; null where either is null."""
    if a is None or b is None:
        return None
    a, b = _operand(a, sign), _operand(b, sign)
    whole = type(a) is int and type(b) is int
    if sign == "-":
        return _bounded(a - b)
    if sign == "*":
        return _bounded(a * b)
    if b == 0:
        raise ExpressionError(f"{sign} by zero")
    if sign == "%":
        return abs(a) % abs(b) * (-1 if a < 0 else 1) if whole else fmod(a, b)
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) if whole else _bounded(a / b)


def _operand(value: Any, sign: str) -> int | float:
    kind = type(value)
    if kind in (int, float):
        return _bounded(value)
    read = number(value) if kind is str else to_ms(value) if kind is datetime else None
    if read is None:
        raise ExpressionError(f"{sign} needs numbers, not {kind_of(value)}")
    return _bounded(read)


def _bounded(value: float) -> int | float:
    if type(value) is int and not -_LARGEST <= value < _LARGEST:
        raise ExpressionError("a number left the range of 64 bits")
    if type(value) is float and not isfinite(value):
        raise ExpressionError("a number left the range of doubles")
    return value


def shown(value: Any, longest: int = 80) -> str:
    """Return a value as one short line of JSON, for people."""
    kind = type(value)
    if kind in (datetime, bytes):
        return as_text(value) if kind is datetime else repr(value[:longest])
    try:
        line = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        line = kind_of(value)
    return line if len(line) <= longest else line[: longest - 1] + "…"
