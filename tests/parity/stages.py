"""One way to run a function on real services and in memory, and to say what became of it.

A case says what it expects once; it is met on Redis, in memory, and in memory with every step on an
entry of its own, so that the harness that users test with cannot drift from what they deploy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import pytest

from qflow import App, Event

RUN: Final = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")


class Failure(NamedTuple):
    """What a run failed with."""

    name: str
    message: str
    step: str


class Outcome(NamedTuple):
    """What became of a run. `told` has (step, attempt, outcome) of all that happened to its steps, and of
    what held its start back; `delays` the milliseconds that it waited after each failure and for each sleep;
    `reason` why it was cancelled or skipped, with RUN in the place of runs' ids."""

    status: str
    output: Any
    failure: Failure | None
    told: list[tuple[str, int, str]]
    delays: list[int]
    reason: str = ""


def about(*delays: int) -> Any:
    """Return delays to compare with: Redis's clock may go on between two readings in one script."""
    return pytest.approx(list(delays), abs=3)


class Stage(Protocol):
    """Where functions of `app` are run: define them first, then send."""

    app: App

    def send(
        self, name: str, data: Mapping[str, Any] | None = None, id: str = "", **fields: Any
    ) -> str:
        """Send an event; return its id."""
        ...

    def signal(self, name: str, data: Any = None) -> None:
        """Give a signal to the step that waits for it, or will in a moment."""
        ...

    def ended(self, event: str, function: str) -> Outcome:
        """Return what became of the run that an event started for a function."""
        ...

    def outcomes(self, function: str, count: int) -> list[Outcome]:
        """Return what became of the runs of a function, `count` of them, in the order of their creation."""
        ...

    def until(self, event: str, function: str, status: str) -> None:
        """Wait until the run that an event started has this status."""
        ...

    def is_(self, event: str, function: str, status: str) -> bool:
        """Tell whether the run that an event started has this status."""
        ...

    def send_all(self, events: Sequence[Event]) -> None:
        """Send events that are all handled before a worker, which does one thing at a time, begins."""
        ...

    def handled(self) -> None:
        """Wait until all sent events are handled."""
        ...

    def cancel(self, event: str, function: str) -> bool:
        """Cancel the run that an event started."""
        ...

    def cancel_only(self, function: str) -> None:
        """Cancel the only run of a function, once it waits."""
        ...

    def passed(self, event: str, function: str, span: str, status: str) -> None:
        """Wait until the run that an event started has this status, `span` from now or so."""
        ...

    def slept(self, event: str, function: str, span: str) -> None:
        """Wait until a sleep of that span, which is the run's first step, is over."""
        ...

    def until_retry(self, event: str, function: str) -> None:
        """Wait until a step of the run that an event started waits for its next try."""
        ...

    def settled(self, predicate: Callable[[], bool], what: str) -> None:
        """Wait for what a handler does after its run was cancelled."""
        ...

    def pause(self, function: str, how: str) -> None:
        """Pause a function: skip or hold."""
        ...

    def resume(self, function: str) -> None:
        """End a function's pause."""
        ...

    def rerun(self, event: str, function: str, step: str = "", data: Any = ...) -> Outcome:
        """Run the run that an event started again, and return what became of that."""
        ...

    def hasten(self, event: str, function: str, what: str) -> None:
        """Let the run that an event started go on now that waits for a time: sleep or retry."""
        ...

    def started(self) -> dict[str, int]:
        """Return how many runs of each function there were, once all sent events are handled."""
        ...
