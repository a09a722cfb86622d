"""Lengths of time as people write them, turned into milliseconds and back.

A `Duration` is a `timedelta`, a number of seconds, or text: numbers with the units w, d, h, m, s
and ms, each at most once and largest first, such as "90s", "1h30m", "1.5h", "7d" or "250ms".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import isnan

from qflow.errors import DefinitionError

Duration = timedelta | int | float | str

MAX_DAYS = 366

_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_ORDER = list(_UNITS)
_MAX_MS = MAX_DAYS * _UNITS["d"]
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|[wdhms]) ?", re.ASCII)
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EXAMPLES = 'write seconds (90), text ("90s", "1h30m", "250ms", "7d") or a timedelta'


def to_ms(value: Duration, what: str) -> int:
    """Return `value` in milliseconds; `what` names the option in the error.

    Rounded to the nearest millisecond, except that a length above zero never becomes zero.
    """
    length = _length(value)
    if length is None:
        raise _refusal(what, value, "is not a duration")
    if length < 0:
        raise _refusal(what, value, "is negative")
    if length > _MAX_MS:
        raise _refusal(what, value, f"is longer than {MAX_DAYS} days")
    return max(round(length), 1) if length else 0


def from_ms(ms: int) -> str:
    """Return exact short text such as "1h30m", "250ms" or "0s"; `to_ms` reads it back."""
    if ms < 0:
        return "-" + from_ms(-ms)
    parts = []
    for unit in _ORDER[1:]:
        count, ms = divmod(ms, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def until_ms(when: datetime | Duration, now_ms: int, what: str) -> int:
    """Return the moment that `when` means, in epoch milliseconds: an aware datetime, or from now.

    A datetime may lie in the past; like a duration, it may lie at most 366 days ahead.
    """
    if not isinstance(when, datetime):
        return now_ms + to_ms(when, what)
    if when.utcoffset() is None:
        remedy = "add tzinfo=timezone.utc or tzinfo=ZoneInfo(…), or write a duration such as '2h'"
        raise DefinitionError(f"{what}: {when.isoformat()} has no time zone; {remedy}")
    # Rounded up, so that nothing wakes before the moment asked for.
    moment = -((_EPOCH - when) // _MILLISECOND)
    if moment - now_ms > _MAX_MS:
        reason = f"lies more than {MAX_DAYS} days ahead; choose a nearer moment"
        raise DefinitionError(f"{what}: {when.isoformat()} {reason}")
    return moment


def _length(value: object) -> float | None:
    """Return milliseconds, unrounded and unchecked, or None for what cannot be read."""
    if isinstance(value, timedelta):
        return value / _MILLISECOND
    if isinstance(value, float):
        return None if isnan(value) else value * 1_000
    if isinstance(value, int) and not isinstance(value, bool):
        return value * 1_000
    if isinstance(value, str):
        text = " ".join(value.split())
        length = _text_length(text.removeprefix("-"))
        return -length if length and text.startswith("-") else length
    return None


def _text_length(text: str) -> float | None:
    total, position, last_unit = 0.0, 0, -1
    while found := _PART.match(text, position):
        unit = _ORDER.index(found[2])
        if unit <= last_unit:
            return None
        total, position, last_unit = total + float(found[1]) * _UNITS[found[2]], found.end(), unit
    return total if text and position == len(text) else None


def _refusal(what: str, value: object, why: str) -> DefinitionError:
    shown = str(value) if isinstance(value, timedelta) else _short(value)
    return DefinitionError(f"{what}: {shown} {why}; {_EXAMPLES}")


def _short(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to print an int of more than 4,300 digits
        text = "that number"
    return text if len(text) <= 40 else text[:39] + "…"
