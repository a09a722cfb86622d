"""A run as the harness keeps it: what Redis holds of one in production."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from qflow.core.attempt import Target
from qflow.core.durations import Duration, from_ms, to_ms
from qflow.core.edit import Edit
from qflow.core.event import SYSTEM
from qflow.core.function import Function
from qflow.core.origin import Origin
from qflow.core.outcome import StepCall
from qflow.core.status import ENDED, RunStatus
from qflow.core.waits import Spec

_ENTRY = Target("", 0, 0)


@dataclass(frozen=True, init=False, repr=False)
class Moment:
    """Something that happened to a run, `at` so long after it was created: Moment("15s", "mail", 1, "ok").

    `outcome` of a step's attempt (from 0): "ok", "retry" (it failed and is tried again) or "failed"
    (for good); "sleep" and "wait" where one began, "timeout" where a wait ended for want of an event.
    Of the run itself, whose `step` is "": "throttled", "debounced" or "batched" where it starts later,
    "priority" where others come first; "retry" of the handler's own code; "completed", "failed",
    "cancelled" or "skipped". `error` is its error's first line, or the reason; it does not count when
    moments are compared.
    """

    at: timedelta
    step: str
    attempt: int
    outcome: str
    error: str = field(compare=False)

    def __init__(
        self, at: Duration, step: str, attempt: int, outcome: str, error: str = ""
    ) -> None:
        length = timedelta(milliseconds=to_ms(at, "Moment(at=)"))
        vars(self).update(at=length, step=step, attempt=attempt, outcome=outcome, error=error)

    def __repr__(self) -> str:
        at = from_ms(to_ms(self.at, "at"))
        shown = f"Moment({at!r}, {self.step!r}, {self.attempt}, {self.outcome!r}"
        return f"{shown}, error={self.error!r})" if self.error else f"{shown})"


@dataclass(eq=False)
class OpenStep:
    """A step beside the main lane: what it waits for, or what it executes."""

    step: str
    spec: Spec
    call: StepCall | None = None
    attempt: int = 0
    due_ms: int = 0

    @property
    def waits_for(self) -> str:
        """What it waits for, in words."""
        kind = self.spec["kind"]
        if kind in ("run", "send", "sleep"):
            return f"{'sleep' if kind == 'sleep' else 'step'} {self.step!r}"
        told = json.loads(self.spec["note"])
        return f"{told['kind']} {told['for']!r} (step {self.step!r})"


@dataclass(eq=False)
class Terms:
    """Where a run queues, what it has to pass before it starts, and what may end it from outside.

    `place` is that of its event among all that came, `since_ms` when it came. `gates` are left to be
    passed from number `gate` on. `gather` is the key under which it takes more events at present, `batch`
    those that it took besides its own, `ts` the time of the newest, `first_ms` when the first came. `rules`
    are the names under which later events cancel it, `spans` how long its deadlines are and `deadlines`
    when they are, by kind; `version` counts how often they were set. `flow` and `ahead` are as
    `engine.admit` gives them, `single` the place that it holds as a singleton.
    """

    place: int = 0
    since_ms: int = 0
    gates: list[list[Any]] = field(default_factory=list)
    gate: int = 0
    gather: str | None = None
    batch: list[str] = field(default_factory=list)
    ts: int = 0
    first_ms: int = 0
    rules: list[str] = field(default_factory=list)
    spans: dict[str, int] = field(default_factory=dict)
    deadlines: dict[str, int] = field(default_factory=dict)
    version: int = 0
    flow: str = ""
    ahead: int = 0
    single: tuple[str, str] | None = None


@dataclass(eq=False)
class State:
    """A run as the harness keeps it: what Redis holds of one in production.

    `turn` counts what was set in motion for it, so that a timer that was overtaken does nothing.
    `open` has its steps beside the main lane, `order` those that were settled, `taken` the events that
    its steps were given, `children` the runs they invoked, `patches` where its handler took a
    new path; waits look back to event `since`. `origin_run` is the run that it runs again, `edit` what
    one of its steps is to be called with. `interrupts` stop what is executed of it right now.
    """

    id: str
    function: Function[Any]
    event_id: str
    event: str
    created_ms: int
    status: RunStatus = "queued"
    reason: str = ""
    started_ms: int = 0
    steps: dict[str, str] = field(default_factory=dict)
    target: Target = _ENTRY
    attempt: int = 0
    turn: int = 0
    due_ms: int = 0
    waits_for: str = ""
    sleeps: bool = False
    output: str = ""
    error: str = ""
    cause: BaseException | None = None
    moments: list[Moment] = field(default_factory=list)
    suspended: bool = False
    open: dict[str, OpenStep] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    since: int = 0
    parents: list[Parent] = field(default_factory=list)
    children: dict[str, str] = field(default_factory=dict)
    patches: list[str] = field(default_factory=list)
    terms: Terms = field(default_factory=Terms)
    origin_run: State | None = None
    again: State | None = None
    edit: Edit | None = None
    interrupts: list[Callable[[], None]] = field(default_factory=list)

    @property
    def origin(self) -> Origin:
        """What it came from, as the core asks for it."""
        batch = {f"event:{n}": text for n, text in enumerate(self.terms.batch, 2)}
        fields = {"event": self.event, "event_id": self.event_id, "attempt": str(self.attempt)}
        return Origin(
            self.id,
            self.function.hooks,
            {**fields, **self.children, **batch, "batched": str(1 + len(batch))},
        )

    @property
    def is_told(self) -> bool:
        """Whether its end is told of: not where an event of qflow's own started it."""
        return json.loads(self.event)["name"] not in SYSTEM

    def note(self, now_ms: int, step: str, attempt: int, outcome: str, error: str = "") -> None:
        """Take down what happens to it at `now_ms`."""
        at = timedelta(milliseconds=now_ms - self.created_ms)
        self.moments.append(Moment(at, step, attempt, outcome, error))

    def begin(self, now_ms: int) -> None:
        """Take down that its handler is entered."""
        self.status, self.due_ms, self.waits_for = "running", 0, ""
        self.started_ms = self.started_ms or now_ms

    def go_on(self, now_ms: int) -> None:
        """Take down that its handler, which was suspended, goes on by itself."""
        self.begin(now_ms)
        self.suspended = False
        self.turn += 1

    @property
    def next_ms(self) -> int:
        """When it goes on by itself, 0 where it waits for no time."""
        dues = [self.due_ms, *(opened.due_ms for opened in self.open.values())]
        return min((due for due in dues if due), default=0)

    @property
    def dues(self) -> list[int]:
        """When time does something to it: it goes on, or misses a deadline; none once it has ended."""
        dues = [self.next_ms, *self.terms.deadlines.values()]
        return [] if self.ended else [due for due in dues if due]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    def standing(self, now_ms: int) -> str:
        """Where it stands, in words."""
        if self.status not in ("waiting", "queued"):
            return f"{self.status}: {self.reason}" if self.reason else self.status
        what = self.waits_for or ", ".join(each.waits_for for each in self.open.values())
        if not what:
            return self.status
        shown = f"{self.status} for {what}" if self.status == "waiting" else f"queued, {what}"
        return f"{shown}, another {from_ms(self.next_ms - now_ms)}" if self.next_ms else shown


Parent = tuple[State, str]
"""The run, and the step of it, that invoked a run."""
