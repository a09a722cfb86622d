"""Schedules: "every 15 minutes", "first Monday of the month at noon in Tokyo"."""

from __future__ import annotations

import re
from typing import Final

from qflow.authoring.planner import clock, zones
from qflow.authoring.planner.clock import Time
from qflow.authoring.planner.refusals import refused
from qflow.authoring.planner.words import NUMBER, Words, number
from qflow.authoring.spec import Schedule
from qflow.core.cron import Cron, describe

_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_DAY: Final = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?)"
_DAY_LIST: Final = rf"{_DAY}(?:(?:, and |, | and | & ){_DAY})*"
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NTH: Final = {"first": "1", "1st": "1", "second": "2", "2nd": "2", "third": "3", "3rd": "3"} | {
    "fourth": "4",
    "4th": "4",
    "last": "L",
}
_ORDINAL: Final = r"\d{1,2}(?:st|nd|rd|th)"
_SINGLE: Final = r"(?:every|each|once (?:a|an|per|every)|once)"
_OF_MONTH: Final = r"(?: (?:day )?(?:of|in) (?:the|each|every) month)"

Days = tuple[str, str, str]
"""Day of month, month, day of week: the last three fields of a cron expression."""


def take_schedules(words: Words) -> bool:
    """Find the schedule that the words name; tell whether there is one."""
    zone = zones.take_zone(words)
    crons = _within_the_hour(words) or _of_the_hours(words)
    zoned = not crons
    if not crons:
        days = _days(words)
        times = clock.take_times(words) if days else _times_alone(words)
        if not days and not times:
            return False
        place = zones.unknown_place(words) if not zone else ""
        zone = zone or zones.take_zone(words)
        times = times or _vague(words)
        if place:
            words.ask("zone", f"Which time zone is {place} in?", "/triggers/0/tz", needed=True)
        crons = _at(words, days or ("*", "*", "*"), times)
    elif not zone and any(_names_hours(cron) for cron in crons):
        zoned = True
    if zoned and not zone:
        words.ask("zone", "In which time zone? A city will do.", "/triggers/0/tz")
    for cron in crons:
        words.triggers.append(Schedule(cron=cron, tz=zone or "UTC"))
        words.understood.append(describe(Cron(cron, zone or "UTC")))
    return True


def _within_the_hour(words: Words) -> list[str]:
    """Return the crons of a schedule of minutes."""
    if words.take(rf"\b(?:every|each|{_SINGLE}) minute\b|\bminutely\b|\bonce a minute\b"):
        return ["* * * * *"]
    if words.take(r"\b(?:every half(?: an)?[ -]hour|half[- ]hourly|twice (?:an|per|every) hour)\b"):
        return ["*/30 * * * *"]
    if words.take(r"\bevery quarter (?:of an )?hour\b|\bfour times an hour\b"):
        return ["*/15 * * * *"]
    found = words.take(rf"\b(?:every|each) (other|{NUMBER})[ -]?(?:minutes?|mins?)\b")
    if found is None:
        return []
    count = 2 if found[1].lower() == "other" else int(number(found[1]))
    within = _within(words)
    return _every_minutes(words, count, within)


def _every_minutes(words: Words, count: int, within: tuple[str, Days]) -> list[str]:
    hours, days = within
    tail = " ".join(days)
    if count < 1 or count > 1_440:
        raise refused(f"every {count} minutes is no schedule; say 1 minute to a day")
    if count == 1:
        return [f"* {hours} {tail}"]
    if 60 % count == 0:
        return [f"{'0' if count == 60 else f'*/{count}'} {hours} {tail}"]
    if 1_440 % count == 0 and hours == "*":
        starts: dict[int, list[str]] = {}
        for start in range(0, 1_440, count):
            starts.setdefault(start % 60, []).append(str(start // 60))
        if len(starts) <= 10:
            return [f"{minute} {_hours(at)} {tail}" for minute, at in sorted(starts.items())]
    words.ask("pace", _uneven(f"{count} minutes", "hour"), "/triggers/0/cron")
    return [f"*/{count} {hours} {tail}" if count < 60 else f"0 */{max(1, count // 60)} {tail}"]


def _of_the_hours(words: Words) -> list[str]:
    """Return the crons of a schedule of hours."""
    found = words.take(rf"\bevery (other|{NUMBER})[ -]?(?:hours?|hrs?)\b")
    if found is not None:
        count = 2 if found[1].lower() == "other" else number(found[1])
        if count == 0.5:
            return ["*/30 * * * *"]
        hours, days = _within(words)
        if hours != "*":
            return [f"0 {hours}/{int(count)} {' '.join(days)}"]
        if count < 1 or count > 24:
            raise refused(f"every {found[1]} hours is no schedule; say 1 to 24")
        if 24 % count:
            words.ask("pace", _uneven(f"{int(count)} hours", "day"), "/triggers/0/cron")
        shown = "*" if count == 1 else "0" if count == 24 else f"*/{int(count)}"
        return [f"0 {shown} {' '.join(days)}"]
    if words.take(rf"\b{_SINGLE} (?:single )?hour\b|\bhourly\b|\bevery hour\b"):
        minute = "0"
        past = words.take(
            r"\b(?:at |on )?(?:the )?(\d{1,2}|quarter|half)(?: minutes?)? past(?: the hour)?\b"
        )
        if past:
            minute = {"quarter": "15", "half": "30"}.get(past[1].lower(), past[1])
        elif words.take(r"\bon the hour\b|\bat the top of the hour\b"):
            minute = "0"
        hours, days = _within(words)
        return [f"{minute} {hours} {' '.join(days)}"]
    return []


def _within(words: Words) -> tuple[str, Days]:
    """Return the hours and days that an interval is restricted to."""
    hours = "*"
    found = words.take(rf"\b(?:between|from) ({clock.ONE}) (?:and|to|until|till) ({clock.ONE})")
    if found is None:
        if words.take(r"\b(?:during|in) (?:business|office|working) hours\b"):
            words.ask("hours", "Which hours are business hours?", "/triggers/0/cron")
            return "9-17", ("*", "*", "1-5")
    else:
        ((first, _),) = clock.read_times(found[1])
        ((last, _),) = clock.read_times(found[2])
        last = (
            last + 12 if last < first and last + 12 <= 23 and not re.search("m", found[2]) else last
        )
        hours = f"{first}-{last}"
    return hours, _days(words, restricting=True) or ("*", "*", "*")


def _days(words: Words, *, restricting: bool = False) -> Days | None:
    """Return the days that the words name, None where they name none."""
    return (
        _nth_weekday(words)
        or _dates(words)
        or _weekdays(words)
        or (None if restricting else _periods(words))
    )


def _nth_weekday(words: Words) -> Days | None:
    nth = "|".join(_NTH)
    found = words.take(
        rf"\b(?:(?:on|every) )?(?:the )?({nth}) ({_DAY}|weekday|working day|business day|day)"
        rf"(?: (?:of|in) (?:the|each|every|a)? ?(month|quarter|year)|(?= monthly))"
    )
    if found is None:
        return None
    which, day, period = _NTH[found[1].lower()], found[2].lower(), (found[3] or "month").lower()
    month = {"month": "*", "quarter": "3,6,9,12" if which == "L" else "1,4,7,10"}.get(
        period, "12" if which == "L" else "1"
    )
    words.take(r"\bmonthly\b|\b(?:every|each) (?:month|quarter|year)\b|\b(?:quarterly|yearly)\b")
    if day == "day":
        return which, month, "*"
    if day in ("weekday", "working day", "business day"):
        words.ask(
            "day",
            f"No schedule can say “{found[1]} {day}”. The {'last day' if which == 'L' else '1st'} of the "
            "month, or a weekday such as “first Monday”?",
            "/triggers/0/cron",
            needed=True,
        )
        return ("L" if which == "L" else "1"), month, "*"
    weekday = _DAYS.index(day.rstrip("s"))
    return "*", month, f"{weekday}L" if which == "L" else f"{weekday}#{which}"


def _dates(words: Words) -> Days | None:
    months = "|".join(_MONTHS)
    found = words.take(rf"\b(?:every |each |on )*(?:the )?({months}) (\d{{1,2}})(?:st|nd|rd|th)?\b")
    if found:
        return _date(found[1], found[2])
    found = words.take(
        rf"\b(?:every |each |on )*(?:the )?(\d{{1,2}})(?:st|nd|rd|th)? of ({months})\b"
    )
    if found:
        return _date(found[2], found[1])
    found = words.take(
        rf"\bon (?:the )?({_ORDINAL}(?:(?:, and |, | and | & )(?:the )?{_ORDINAL})*){_OF_MONTH}?"
        r"(?: monthly| every month| each month)?"
    ) or words.take(
        rf"\b(?:the )?({_ORDINAL}(?:(?:, and |, | and | & )(?:the )?{_ORDINAL})*){_OF_MONTH}"
    )
    if found:
        days = sorted({int(day) for day in re.findall(r"\d+", found[1])})
        if days[0] < 1 or days[-1] > 31:
            raise refused(f"no month has a day {days[-1]}")
        return ",".join(map(str, days)), "*", "*"
    if words.take(r"\b(?:on |every |each )*(?:the )?first of (?:the|each|every) month\b"):
        return "1", "*", "*"
    if words.take(r"\b(?:at |on |by )?(?:the )?(?:end of (?:the|each|every) month|month[- ]end)\b"):
        return "L", "*", "*"
    return None


def _date(month: str, day: str) -> Days:
    number_of = _MONTHS.index(month.lower()) + 1
    longest = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[number_of - 1]
    if not 1 <= int(day) <= longest:
        raise refused(f"{month.capitalize()} has no day {day}")
    return str(int(day)), str(number_of), "*"


def _weekdays(words: Words) -> Days | None:
    prefix = r"\b(?:on |every |each |all |only )*"
    if words.take(
        rf"{prefix}(?:weekdays?|week days?|workdays?|working days?|business days?|weekdaily)\b"
        rf"|{prefix}mon(?:day)?s?(?: ?- ?| to | through )fri(?:day)?s?\b"
    ):
        return "*", "*", "1-5"
    if words.take(rf"{prefix}(?:weekends?)\b"):
        return "*", "*", "0,6"
    span = words.take(rf"{prefix}({_DAY})(?: ?- ?| to | through )({_DAY})\b")
    if span:
        first, last = (_DAYS.index(day.lower().rstrip("s")) for day in (span[1], span[2]))
        return "*", "*", f"{first}-{last}"
    found = words.find(rf"\b(?:every|each) (other|second|2nd) ({_DAY})\b")
    if found:
        words.take(re.escape(found[0]))
        _fortnight(words)
        return "*", "*", str(_DAYS.index(found[2].lower().rstrip("s")))
    found = words.take(
        rf"{prefix}({_DAY_LIST})(?: (?:morning|afternoon|evening|night)s?(?= at))?\b"
    )
    if found:
        days = {
            _DAYS.index(day.lower().rstrip("s"))
            for day in re.findall(_DAY, found[1], re.IGNORECASE)
        }
        return "*", "*", ",".join(str(day) for day in sorted(days))
    return None


def _periods(words: Words) -> Days | None:
    if found := words.take(rf"\b(?:every|each) (other|{NUMBER}) days?\b"):
        count = 2 if found[1].lower() == "other" else int(number(found[1]))
        if count == 1:
            return "*", "*", "*"
        if count > 31:
            raise refused(f"every {count} days is no schedule; say at most 31")
        words.ask(
            "pace",
            f"Schedules count days from the 1st of each month, so that every {count} days begins again "
            "there. Is that right?",
            "/triggers/0/cron",
        )
        return f"*/{count}", "*", "*"
    if words.take(
        r"\b(?:every (?:other|2nd|second|two|2) weeks?|fortnightly|biweekly|bi-weekly)\b"
    ):
        _fortnight(words)
        return "*", "*", "1"
    if words.take(
        rf"\b{_SINGLE} (?:single )?(?:day|night(?!ly))\b|\bdaily\b|\bnightly\b|\b(?:once|one time) (?:a|per) day\b"
    ):
        return "*", "*", "*"
    if words.take(rf"\b{_SINGLE} week\b|\bweekly\b"):
        day = words.take(rf"\bon ({_DAY})\b")
        if not day:
            words.ask("day", "On which day of the week?", "/triggers/0/cron")
        return "*", "*", str(_DAYS.index(day[1].lower().rstrip("s"))) if day else "1"
    if words.take(rf"\b{_SINGLE} month\b|\bmonthly\b"):
        words.ask("day", "On which day of the month?", "/triggers/0/cron")
        return "1", "*", "*"
    if words.take(rf"\b{_SINGLE} quarter\b|\bquarterly\b"):
        return "1", "1,4,7,10", "*"
    if words.take(rf"\b{_SINGLE} year\b|\byearly\b|\bannually\b"):
        return "1", "1", "*"
    if words.find(
        r"\b(?:every|each) (?:morning|afternoon|evening)\b|\b(?:twice|three times|3 times|four times) (?:a|per|each|every) day\b"
    ):
        return "*", "*", "*"
    return None


def _fortnight(words: Words) -> None:
    words.ask(
        "pace",
        "No schedule can say every other week. Every week, or on the 1st and 15th?",
        "/triggers/0/cron",
        needed=True,
    )


def _times_alone(words: Words) -> list[Time]:
    """Return times that stand without days, where they can only mean every day."""
    found = words.take(r"\bat (noon|midnight)\b") or words.take(
        r"^(?:please )?(?:run|start|do)(?: it| this)? at ([\w: ]+?[ap]m|\d{1,2}(?::\d\d)?)(?= instead| in |$|,|\.)"
    )
    if found is None:
        found = (
            words.take(rf"\bat ({clock.ONE})(?= instead| in |$|,|\.)")
            if re.match(
                r"(?:please )?(?:run|start|do|make)(?: it| this)?\b", words.left, re.IGNORECASE
            )
            else None
        )
    if found is None:
        return []
    words.assumed.append("every day, as the words name no other days")
    return clock.read_times(found[1])


def _vague(words: Words) -> list[Time]:
    """Return the times that stand for vague ones, and ask."""
    spread = {"twice": [0, 12], "three times": [0, 8, 16], "3 times": [0, 8, 16]} | {
        "four times": [0, 6, 12, 18]
    }
    found = words.take(rf"\b({'|'.join(spread)}) (?:a|per|each|every) day\b|\btwice daily\b")
    if found:
        words.ask("time", "At which times of day?", "/triggers/0/cron")
        return [(hour, 0) for hour in spread.get((found[1] or "twice").lower(), [0, 12])]
    parts = {"morning": 9, "afternoon": 14, "evening": 18}
    found = words.take(r"\b(?:in the |every |each )(morning|afternoon|evening)\b")
    words.ask("time", "At what time of day?", "/triggers/0/cron")
    return [(parts[found[1].lower()] if found else 0, 0)]


def _at(words: Words, days: Days, times: list[Time]) -> list[str]:
    """Return the crons of days and times: as few as can say them."""
    minutes = sorted({minute for _, minute in times})
    crons = []
    for minute in minutes:
        hours = [str(hour) for hour, of in times if of == minute]
        crons.append(f"{minute} {','.join(hours)} {' '.join(days)}")
    return crons


def _names_hours(cron: str) -> bool:
    """Tell whether a zone makes a difference: hours, or days, are named."""
    return cron.split()[1:] != ["*", "*", "*", "*"] and not re.fullmatch(
        r"\S+ \*/(1|2|3|4|6|8|12) \* \* \*", cron
    )


def _hours(values: list[str]) -> str:
    numbers = [int(value) for value in values]
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 24
    if numbers == list(range(numbers[0], 24, step)) and len(numbers) > 2:
        return f"*/{step}" if numbers[0] == 0 else f"{numbers[0]}-23/{step}"
    return ",".join(values)


def _uneven(pace: str, period: str) -> str:
    return (
        f"Schedules begin again with each {period}, so that every {pace} is not even across it. Is that "
        "right?"
    )
