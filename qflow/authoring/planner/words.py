"""The words as the planner reads them: what one part has understood, no other reads again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from qflow.authoring.spec import Question, Step, StepId, Trigger

_READ: Final = "\x1f"
_MASK: Final = "\x1e"
_QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)")

CLAUSE: Final = r"(?:[^,;.\x1f]|\.(?=\w))"
"""A character of a clause: a dot inside of an address ends none."""

_NUMBERS: Final = {
    "a": 1, "an": 1, "one": 1, "once": 1, "two": 2, "twice": 2, "three": 3, "thrice": 3, "four": 4,
    "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100, "a hundred": 100,
    "half an": 0.5, "a couple of": 2, "a dozen": 12,
}  # fmt: skip
NUMBER: Final = (
    r"(?:\d+(?:,\d{3})*(?:\.\d+)?|"
    + "|".join(sorted((re.escape(word) for word in _NUMBERS), key=len, reverse=True))
    + r")"
)
_UNITS: Final = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h"} | {
    "day": "d",
    "week": "w",
    "month": "mo",
    "year": "y",
}
UNIT: Final = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?)"
DURATION: Final = rf"(?:{NUMBER}[ -]?{UNIT}(?: and {NUMBER} {UNIT})?|\d+ ?(?:s|m|h|d|w)\b)"


@dataclass
class Words:
    """What somebody asked for. `left` keeps its length, so that places in it stay comparable."""

    text: str
    left: str = ""
    triggers: list[Trigger] = field(default_factory=list)
    steps: list[tuple[int, Step]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    understood: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    subject: str = ""
    has_token: bool = True

    def __post_init__(self) -> None:
        self.text = " ".join(self.text.replace("’", "'").split())
        self.left = _QUOTED.sub(lambda found: _masked(found[0]), self.text)

    def find(self, pattern: str) -> re.Match[str] | None:
        """Return where a pattern stands in what nobody has read yet."""
        return re.search(pattern, self.left, re.IGNORECASE)

    def take(self, pattern: str) -> re.Match[str] | None:
        """Find a pattern, and mark it as read."""
        found = self.find(pattern)
        if found is not None:
            self.mark(found.start(), found.end())
        return found

    def said(self, found: re.Match[str], group: int) -> str:
        """Return a group of a match as it was said: quoted words are masked in `left`."""
        start, end = found.span(group)
        return self.text[start:end] if start >= 0 else ""

    def mark(self, start: int, end: int) -> None:
        """Mark a place as read."""
        self.left = self.left[:start] + _READ * (end - start) + self.left[end:]

    def ask(self, id: str, text: str, sets: str = "", *, needed: bool = False) -> None:
        """Ask what was left open, once."""
        if id not in [question.id for question in self.questions]:
            self.questions.append(Question(id=_id(id), text=text, sets=sets, needed=needed))

    def step(self, place: int, step: Step) -> None:
        """Add a step that the words name at a place."""
        self.steps.append((place, step))

    def free_id(self, wanted: str, others: Sequence[str] = ()) -> str:
        """Return an id for a step that no step has."""
        taken = {step.id for _, step in self.steps} | set(others)
        made = slug(wanted)
        number = 2
        while made in taken:
            made = f"{slug(wanted)}-{number}"
            number += 1
        return made

    def rest(self) -> list[str]:
        """Return the runs of words that nobody has read."""
        runs = re.finditer(rf"[^{_READ}]+", self.left)
        return [self.text[run.start() : run.end()].strip(" ,.;:!?-") for run in runs]


def number(text: str) -> float:
    """Return the number that a word or digits say."""
    flat = text.lower().replace(",", "")
    return _NUMBERS[flat] if flat in _NUMBERS else float(flat)


def whole(text: str) -> int:
    """Return a whole number."""
    return int(number(text))


def duration(text: str) -> str:
    """Return a length of time as qflow writes it; months are of 30 days."""
    parts = re.findall(rf"({NUMBER})[ -]?({UNIT}|[smhdw]\b)", text, re.IGNORECASE)
    seconds = 0.0
    sizes = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_592_000}
    for count, unit in parts:
        name = unit.lower()
        short = name if len(name) == 1 else _UNITS[name.rstrip("s") or name]
        seconds += number(count) * sizes[short]
    left, found = int(seconds), ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        found += f"{count}{unit}" if count else ""
    return found or "0s"


def slug(text: str) -> str:
    """Return text as an id: small letters, digits and dashes."""
    flat = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")
    return flat if flat and flat[0].isalpha() else f"step-{flat}".strip("-")


def name(text: str) -> str:
    """Return text as a name of a field, a table or a folder."""
    flat = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40]
    return flat if flat and flat[0].isalpha() else f"x_{flat}".strip("_")


def _masked(text: str) -> str:
    return text[0] + _MASK * (len(text) - 2) + text[-1]


def _id(text: str) -> StepId:
    return slug(text)
