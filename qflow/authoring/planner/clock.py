"""Times of day as people say them."""

from __future__ import annotations

import re
from typing import Final

from qflow.authoring.planner.refusals import refused
from qflow.authoring.planner.words import Words

_HOURS: Final = {
    word: hour
    for hour, word in enumerate(
        (
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ),
        1,
    )
}
_HOUR: Final = rf"(?:\d{{1,2}}|{'|'.join(_HOURS)})"
ONE: Final = (
    rf"(?:{_HOUR}(?::\d{{2}}|\.\d{{2}}(?= ?[ap]m))?(?: ?(?:a\.?m\b\.?|p\.?m\b\.?|o'clock(?: in the (?:morning|afternoon|evening))?"
    r"|h\b|hrs\b|uhr\b))?|noon|midday|midnight"
    rf"|half past {_HOUR}|quarter past {_HOUR}|quarter to {_HOUR})"
)
TIMES: Final = rf"(?:at|by|@) ({ONE}(?:(?:,| and|, and| &) (?:at )?{ONE})*)(?! ?(?:%|at a time|\w*%|times?\b|per\b|minutes?|hours?|days?|past\b))"
BARE: Final = r"\b((?:\d{1,2}(?::\d{2})? ?(?:a\.?m\b|p\.?m\b)|\d{1,2}:\d{2}|noon|midnight)(?:(?:,| and|, and) (?:\d{1,2}(?::\d{2})? ?(?:a\.?m\b|p\.?m\b)|\d{1,2}:\d{2}|noon|midnight))*)"

Time = tuple[int, int]


def take_times(words: Words) -> list[Time]:
    """Return the times of day that the words name, as hour and minute."""
    found = words.take(rf"\b{TIMES}") or words.take(BARE)
    if found is None:
        return []
    return read_times(found[1])


def read_times(text: str) -> list[Time]:
    """Return the times of a list such as "9 AM and 17:30"; the last's AM or PM holds for those without."""
    pieces = re.split(r",? and (?:at )?|, ?| & ", text.strip().lower())
    last = re.search(r"([ap])\.?m", pieces[-1])
    return sorted({_time(piece, last[1] if last else "") for piece in pieces if piece})


def _time(text: str, half: str) -> Time:
    if text in ("noon", "midday"):
        return 12, 0
    if text == "midnight":
        return 0, 0
    said = re.fullmatch(rf"(half past|quarter past|quarter to) ({_HOUR})", text)
    if said:
        hour = _hour(said[2])
        return {"half past": (hour, 30), "quarter past": (hour, 15)}.get(
            said[1], ((hour - 1) % 24, 45)
        )
    found = re.match(rf"({_HOUR})(?:[:.](\d{{2}}))?(.*)", text)
    if found is None:
        raise refused(f"{text!r} is no time of day")
    hour, minute, rest = _hour(found[1]), int(found[2] or 0), found[3]
    mark = re.search(r"([ap])\.?m", rest)
    side = mark[1] if mark else "p" if "afternoon" in rest or "evening" in rest else ""
    side = side or (half if not found[2] else "")
    if side and not 1 <= hour <= 12:
        raise refused(f"{text!r} is no time of day: say 1 to 12 with AM or PM, or 0 to 23 without")
    if hour > 23 or minute > 59:
        raise refused(f"{text!r} is no time of day: hours are 0 to 23, minutes 0 to 59")
    if side:
        hour = hour % 12 + (12 if side == "p" else 0)
    return hour, minute


def _hour(text: str) -> int:
    return _HOURS[text] if text in _HOURS else int(text)
