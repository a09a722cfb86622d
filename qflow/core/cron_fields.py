"""A cron expression read into its five fields, and the search for local times that match them.

Of croniter only the search is used, on fields reduced to plain numbers, because it reads `9-9` as
every hour, is off by one in `50-10/15`, takes `*/2` beside `0-6` as both instead of either, and
knows nothing of a schedule's own rule for daylight saving.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from qflow.errors import DefinitionError

ANY = ("*",)
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

_MAX_LENGTH = 255
_SHAPE = 'minute hour day-of-month month day-of-week, such as "0 9 * * MON"'
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ITEM = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([0-9]{1,3}))?")
_NTH_WEEKDAY = re.compile(r"([a-z0-9]+)#([1-5])")
_LAST_WEEKDAY = re.compile(r"([a-z]{3}|[0-7])l")


@dataclass(frozen=True)
class Fields:
    """The five fields, each the sorted texts of its values, or ANY.

    A value is a number, "l" (last day of the month), "1#2" (second Monday) or "l5" (last Friday).
    """

    minutes: tuple[str, ...]
    hours: tuple[str, ...]
    days: tuple[str, ...]
    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    matcher: Any = field(compare=False, repr=False)

    @property
    def every_hour(self) -> bool:
        """Whether it names no hour: such a schedule goes by elapsed time across a clock change."""
        return self.hours == ANY

    def next_after(self, local: int) -> int:
        """Return the first match after `local`, both in seconds since 1970 on a zoneless clock."""
        # The search moves the matcher's own position, so each works on a copy.
        return int(copy.copy(self.matcher).get_next(float, start_time=local))

    def last_before(self, local: int) -> int:
        """Return the last match before `local`, on the same clock."""
        return int(copy.copy(self.matcher).get_prev(float, start_time=local))


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def span(self) -> int:
        return self.high - self.low + 1

    @property
    def remedy(self) -> str:
        names = (
            f" or {self.names[0][:3].upper()}-{self.names[-1][:3].upper()}" if self.names else ""
        )
        return f"write {self.low}-{self.high}{names}, *, a list, a range or a step"

    def named(self, text: str) -> int | None:
        short = [name[:3].lower() for name in self.names]
        return self.low + short.index(text) if text in short else None

    def is_full(self, values: tuple[str, ...]) -> bool:
        return sum(value.isdigit() for value in values) == self.span


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, MONTHS)
_WEEKDAY = _Field("day of week", 0, 6, DAYS)


def plain(expression: str) -> str:
    """Return the expression in lower case, single-spaced, with a name such as @daily spelt out."""
    text = " ".join(expression.lower().split())
    return _ALIASES.get(text, text)


def read(expression: str) -> Fields:
    """Return the fields of an expression, or raise DefinitionError saying what is wrong with it."""
    if not isinstance(expression, str):
        raise refusal(expression, f"not text; write {_SHAPE}")
    try:
        return _read(expression)
    except ValueError as error:
        raise refusal(expression, str(error)) from None


def refusal(expression: object, reason: str) -> DefinitionError:
    """Return the one-line error about this expression."""
    shown = repr(expression)
    return DefinitionError(f"cron {shown if len(shown) <= 80 else shown[:79] + '…'}: {reason}")


@lru_cache(maxsize=4_096)
def _read(expression: str) -> Fields:
    if len(expression) > _MAX_LENGTH:
        raise ValueError(f"longer than {_MAX_LENGTH} characters; use several triggers")
    texts = plain(expression).split()
    _check_shape(texts)
    minutes, hours = _values(_MINUTE, texts[0]), _values(_HOUR, texts[1])
    days, weekdays = _day_values(texts[2], texts[4])
    fields = (minutes, hours, days, _values(_MONTH, texts[3]), weekdays)
    return Fields(*fields, matcher=_matcher(" ".join(",".join(values) for values in fields)))


def _check_shape(texts: list[str]) -> None:
    first = texts[0] if texts else ""
    if first == "@reboot":
        raise ValueError("workers restart at any time; send an event from your start-up code")
    if first.startswith("@"):
        raise ValueError(f"unknown name; write one of {' '.join(_ALIASES)}, or {_SHAPE}")
    if first.startswith(("tz=", "cron_tz=")):
        raise ValueError('the zone goes apart: Cron("0 9 * * MON", tz="Europe/Berlin")')
    if len(texts) in (6, 7):
        raise ValueError(f"{len(texts)} fields; there is none for seconds or years: write {_SHAPE}")
    if len(texts) != 5:
        raise ValueError(f"{len(texts)} fields instead of 5; write {_SHAPE}")


def _day_values(day_text: str, weekday_text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    days, weekdays = _values(_DAY, day_text), _values(_WEEKDAY, weekday_text)
    special = [value for value in weekdays if "#" in value or "l" in value]
    if special and (days != ANY or len(special) < len(weekdays)):
        raise ValueError("a day of week with # or L stands without other days; use two triggers")
    if _DAY.is_full(days) or _WEEKDAY.is_full(weekdays):
        return ANY, ANY
    return days, weekdays


def _values(field: _Field, text: str) -> tuple[str, ...]:
    if text in ("*", "*/1") or (text == "?" and field in (_DAY, _WEEKDAY)):
        return ANY
    values = {value for item in text.split(",") for value in _item(field, item)}
    ordered = tuple(sorted(values, key=lambda value: (not value.isdigit(), value.zfill(2))))
    return ANY if field.is_full(ordered) and field not in (_DAY, _WEEKDAY) else ordered


def _item(field: _Field, text: str) -> set[str]:
    if field is _DAY and text == "l":
        return {"l"}
    if field is _WEEKDAY and (nth := _NTH_WEEKDAY.fullmatch(text)):
        return {f"{_number(field, nth[1]) % 7}#{nth[2]}"}
    if field is _WEEKDAY and (final := _LAST_WEEKDAY.fullmatch(text)):
        return {f"l{_number(field, final[1]) % 7}"}
    found = _ITEM.fullmatch(text)
    if found is None or (found[1] == "*" and found[2]):
        raise ValueError(f"cannot read {text!r} as {field.name}; {field.remedy}")
    step = int(found[3] or 1)
    if not 1 <= step <= field.span:
        raise ValueError(f"step {step} of {field.name} is out of range; write 1-{field.span}")
    first = field.low if found[1] == "*" else _number(field, found[1])
    if found[2]:  # noqa: SIM108  # three cases in one expression would hide one
        last = _number(field, found[2])
    else:
        last = field.high if found[1] == "*" or found[3] else first
    # A range that runs backwards goes on across the end: hours 22-2, days FRI-MON.
    stop = last if first <= last else last + field.span
    return {str(field.low + (n - field.low) % field.span) for n in range(first, stop + 1, step)}


def _number(field: _Field, text: str) -> int:
    named = field.named(text)
    if named is not None:
        return named
    sunday = field is _WEEKDAY and text == "7"
    if text.isdigit() and (field.low <= int(text) <= field.high or sunday):
        return int(text)
    raise ValueError(f"{text!r} is no {field.name}; {field.remedy}")


def _matcher(columns: str) -> Any:
    from croniter import CroniterBadDateError, croniter

    matcher = croniter(columns, 0.0)
    try:
        matcher.get_next(float)
    except CroniterBadDateError:
        raise ValueError(
            "it would never tick: no such month has such a day; write a day that comes"
        ) from None
    return matcher
