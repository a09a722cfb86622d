"""What the steps of a run printed and logged, in the order in which they said it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from qflow.core.said import INPUT, NOTICE
from qflow.errors import UsageError
from qflow.read.timeline import Attempt, Timeline

LEVELS: Final = ("debug", "info", "warning", "error")
"""What one may ask for: lines of this level and above. What is printed counts as info."""

_HEIGHT: Final = {
    "debug": 1,
    "print": 2,
    "info": 2,
    "warning": 3,
    "error": 4,
    "critical": 5,
    NOTICE: 9,
}


class SaidLine(NamedTuple):
    """A line: when, by which attempt (from 0) of which step, at which level, the text."""

    at: int
    step: str
    attempt: int
    level: str
    text: str


def lines(told: Timeline, level: str = "") -> list[SaidLine]:
    """Return the lines of a run at `level` and above, "" for all; raise UsageError for no such level."""
    if level and level not in LEVELS:
        raise UsageError(f"level={level!r} is none of {', '.join(LEVELS)}")
    least = _HEIGHT[level or "debug"]
    found = [
        line
        for step in told.steps
        for attempt in step.attempts
        for line in of_attempt(attempt, step.id)
        if _HEIGHT.get(line.level, 2) >= least
    ]
    return sorted(found, key=lambda line: line.at)


def of_attempt(attempt: Attempt, step: str) -> Iterator[SaidLine]:
    """Return the lines of one attempt; of one whose lines are encrypted, a word on that."""
    began = attempt.started or 0
    log: Any = attempt.log
    if isinstance(log, str):
        log = [[0, NOTICE, log]]
    for at, level, text in log or ():
        if level != INPUT:
            yield SaidLine(began + at, step, attempt.number, level, text)


def given(attempts: Sequence[Attempt]) -> Any:
    """Return what a step was called with, of which attempts that failed or said something know: its
    arguments, or what is left of their JSON text where that was cut; None where nobody knows."""
    logs = [attempt.log for attempt in reversed(attempts) if isinstance(attempt.log, list)]
    for _, level, text in (line for log in logs for line in log):
        if level == INPUT:
            try:
                return json.loads(text)
            except ValueError:
                return text
    return None
