"""Plain English for the fields of a cron expression, or None where it would not be short."""

from __future__ import annotations

from qflow.core.cron_fields import ANY, DAYS, MONTHS, Fields

_MOST = 4
_WORKDAYS = ("1", "2", "3", "4", "5")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def interval(fields: Fields) -> str | None:
    """Describe a schedule of every hour, which reads the same in every zone: "every 15 minutes"."""
    if {fields.hours, fields.days, fields.months, fields.weekdays} != {ANY}:
        return None
    if fields.minutes == ANY:
        return "every minute"
    if fields.minutes == ("0",):
        return "every hour"
    step = _step(fields.minutes, 60)
    if step:
        return f"every {step} minutes"
    if len(fields.minutes) > _MOST:
        return None
    plural = "s" * (len(fields.minutes) > 1)
    return f"every hour at minute{plural} {_join(fields.minutes)}"


def times(fields: Fields) -> str | None:
    """Describe times of day on days that have a short name: "every day at 09:00 and 17:00"."""
    if ANY in (fields.minutes, fields.hours):
        return None
    every_day = {fields.days, fields.months, fields.weekdays} == {ANY}
    step = _step(fields.hours, 24)
    if every_day and step and fields.minutes == ("0",) and len(fields.hours) > 2:
        return f"every {step} hours"
    clock = [f"{hour:0>2}:{minute:0>2}" for hour in fields.hours for minute in fields.minutes]
    if len(clock) > _MOST:
        return None
    at = f"at {_join(clock)}"
    if every_day:
        return f"every day {at}"
    if fields.weekdays == _WORKDAYS and fields.days == fields.months == ANY:
        return f"every weekday {at}"
    days = _dates(fields) or _weekdays(fields)
    return f"{at} on {days}" if days else None


def _step(values: tuple[str, ...], span: int) -> int | None:
    """Return n when the values are 0, n, 2n… all the way round the field."""
    step = span // len(values)
    even = [int(value) for value in values] == list(range(0, span, step))
    return step if even and span % step == 0 and len(values) > 1 else None


def _weekdays(fields: Fields) -> str | None:
    if fields.days != ANY or fields.months != ANY or len(fields.weekdays) > _MOST:
        return None
    from_monday = sorted(fields.weekdays, key=lambda value: value == "0")
    return _join([_weekday(value) for value in from_monday])


def _weekday(value: str) -> str:
    if value.startswith("l"):
        return f"the last {DAYS[int(value[1:])]} of the month"
    day, _, nth = value.partition("#")
    name = DAYS[int(day)]
    return f"the {_ORDINALS[int(nth) - 1]} {name} of the month" if nth else name


def _dates(fields: Fields) -> str | None:
    if fields.days == ANY or fields.weekdays != ANY:
        return None
    if fields.months == ANY:
        numbers = [f"day {day}" for day in fields.days if day != "l"]
        names = numbers + ["the last day"] * ("l" in fields.days)
        return f"{_join(names)} of the month" if len(names) <= _MOST else None
    months = [MONTHS[int(month) - 1] for month in fields.months]
    dates = [
        f"the last day of {month}" if day == "l" else f"{day} {month}"
        for month in months
        for day in fields.days
    ]
    return _join(dates) if len(dates) <= _MOST else None


def _join(words: list[str] | tuple[str, ...]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
