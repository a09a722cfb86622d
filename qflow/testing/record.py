"""What a test sees of a run: its state, its steps, and what happened at which time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from qflow.core import codec
from qflow.core.attempt import Target
from qflow.core.durations import Duration, from_ms, to_ms
from qflow.core.event import Event, from_text
from qflow.core.function import Function
from qflow.core.memo import Memo
from qflow.core.middleware import Hooks, Place, opened, opened_error
from qflow.core.origin import Origin
from qflow.core.outcome import StepCall
from qflow.core.status import ENDED, RunStatus
from qflow.core.waits import Spec
from qflow.errors import QflowError, StepError, UsageError

TRIES: Final = ("ok", "failed", "retry")
"""Outcomes of a moment that was an attempt of a step."""


_ENTRY: Final = Target("", 0, 0)


class RunFailed(QflowError):
    """Raised by `HarnessRun.result` for a run that failed.

    `name`, `message` and `traceback` describe the error as it is kept; `step_id` is the step that
    failed, "" for the handler. The error itself, where it is at hand, is its `__cause__`.
    """

    def __init__(self, what: str, name: str, message: str, traceback: str, step_id: str) -> None:
        at = f" at step {step_id!r}" if step_id else ""
        super().__init__(f"{what} failed{at}: {name}: {message}")
        self.name = name
        self.message = message
        self.traceback = traceback
        self.step_id = step_id


class ReplayError(QflowError):
    """Found by `Harness(always_replay=True)`: a handler that does not do the same when it is entered
    again, or that has an effect outside its steps."""


@dataclass(frozen=True, init=False, repr=False)
class Moment:
    """Something that happened to a run, `at` so long after it was created: Moment("15s", "mail", 1, "ok").

    `outcome` of a step's attempt (from 0): "ok", "retry" (it failed and is tried again) or "failed"
    (for good); "sleep" and "wait" where one began, "timeout" where a wait ended for want of an event.
    Of the handler itself, whose `step` is "": "retry",
    "completed" or "failed". `error` is its first line; it does not count when moments are compared.
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


@dataclass(frozen=True)
class StepRecord:
    """A step of a run: `status` is "ok", "failed" or "waiting", `value` what an "ok" one gave.

    `attempts` counts its executions, `error` describes the last one that failed.
    """

    id: str
    status: str
    attempts: int
    value: Any = None
    error: str = ""


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
class State:
    """A run as the harness keeps it: what Redis holds of one in production.

    `turn` counts what was set in motion for it, so that a timer that was overtaken does nothing.
    `open` has its steps beside the main lane, `order` those that were settled, `taken` the events that
    its steps were given, `children` the runs they invoked, `patches` where its handler took a
    new path; waits look back to event `since`.
    """

    id: str
    function: Function[Any]
    event_id: str
    event: str
    created_ms: int
    status: RunStatus = "queued"
    steps: dict[str, str] = field(default_factory=dict)
    target: Target = _ENTRY
    attempt: int = 0
    turn: int = 0
    due_ms: int = 0
    waits_for: str = ""
    output: str = ""
    error: str = ""
    cause: BaseException | None = None
    moments: list[Moment] = field(default_factory=list)
    suspended: bool = False
    open: dict[str, OpenStep] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    since: int = 0
    parent: Parent | None = None
    children: dict[str, str] = field(default_factory=dict)
    patches: list[str] = field(default_factory=list)

    @property
    def origin(self) -> Origin:
        """What it came from, as the core asks for it."""
        fields = {"event": self.event, "event_id": self.event_id, "attempt": str(self.attempt)}
        return Origin(self.id, self.function.hooks, {**fields, **self.children})

    def note(self, now_ms: int, step: str, attempt: int, outcome: str, error: str = "") -> None:
        """Take down what happens to it at `now_ms`."""
        at = timedelta(milliseconds=now_ms - self.created_ms)
        self.moments.append(Moment(at, step, attempt, outcome, error))

    def begin(self) -> None:
        """Take down that its handler is entered."""
        self.status, self.due_ms, self.waits_for = "running", 0, ""

    def go_on(self) -> None:
        """Take down that its handler, which was suspended, goes on by itself."""
        self.begin()
        self.suspended = False
        self.turn += 1

    @property
    def next_ms(self) -> int:
        """When it goes on by itself, 0 where it waits for no time."""
        dues = [self.due_ms, *(opened.due_ms for opened in self.open.values())]
        return min((due for due in dues if due), default=0)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


Parent = tuple[State, str]
"""The run, and the step of it, that invoked a run."""


class HarnessRun:
    """A run in a harness; what it says is as of now."""

    def __init__(self, state: State, now_ms: Callable[[], int]) -> None:
        self._state = state
        self._now_ms = now_ms

    def __repr__(self) -> str:
        return f"<{self._what}: {self._standing()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HarnessRun) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """Its id."""
        return self._state.id

    @property
    def function_id(self) -> str:
        """The id of the function that it executes."""
        return self._state.function.id

    @property
    def status(self) -> str:
        """Its status: "waiting", "completed" or "failed"; also "queued", "running", "cancelled"."""
        return self._state.status

    @property
    def created(self) -> datetime:
        """The time at which it was created."""
        return datetime.fromtimestamp(self._state.created_ms / 1000, UTC)

    @property
    def due(self) -> datetime | None:
        """When it goes on by itself, None where it waits for nothing or for no time."""
        due_ms = self._state.next_ms
        return datetime.fromtimestamp(due_ms / 1000, UTC) if due_ms else None

    @property
    def event(self) -> Event[Any]:
        """The event that started it."""
        return event_of(self._state.event, self._state.function.hooks)

    @property
    def output(self) -> Any:
        """What its handler returned; raises as `result` does."""
        return self.result()

    def result(self) -> Any:
        """Return what its handler returned.

        Raises RunFailed where it failed, UsageError where it has not ended.
        """
        state = self._state
        if state.status == "completed":
            place = Place("output", state.id)
            return codec.decode(opened(state.function.hooks, state.output, place))
        if state.status != "failed":
            raise UsageError(f"{self._what} has no result: it is {self._standing()}")
        told = json.loads(state.error)
        place = Place("error", state.id, told.get("step", ""))
        told = opened_error(state.function.hooks, told, place)
        raise RunFailed(
            self._what, told["name"], told["message"], told["traceback"], told.get("step", "")
        ) from state.cause

    @property
    def timeline(self) -> list[Moment]:
        """What happened to it, in order."""
        return list(self._state.moments)

    @property
    def steps(self) -> dict[str, StepRecord]:
        """Its steps by id, in the order in which they were begun."""
        begun = dict.fromkeys(moment.step for moment in self._state.moments if moment.step)
        return {step: self.step(step) for step in begun}

    def step(self, id: str) -> StepRecord:
        """Return what is known of a step; raises UsageError where it was never begun."""
        moments = [moment for moment in self._state.moments if moment.step == id]
        if not moments:
            begun = ", ".join(repr(step) for step in self.steps) or "none"
            raise UsageError(f"{self._what} has not come to a step {id!r}; those it began: {begun}")
        tries = [moment for moment in moments if moment.outcome in TRIES]
        error = next((moment.error for moment in reversed(tries) if moment.error), "")
        if id not in self._state.steps:
            return StepRecord(id, "waiting", len(tries), None, error)
        memo = Memo({id: self._state.steps[id]})
        memo.open(self._state.origin.opened)
        try:
            return StepRecord(id, "ok", len(tries), memo.recall(id), error)
        except StepError:
            return StepRecord(id, "failed", len(tries), None, error)

    @property
    def _what(self) -> str:
        return f"run of {self._state.function.id!r}"

    def _standing(self) -> str:
        state = self._state
        if state.status != "waiting":
            return state.status
        what = state.waits_for or ", ".join(each.waits_for for each in state.open.values())
        if not state.next_ms:
            return f"waiting for {what}"
        return f"waiting for {what}, another {from_ms(state.next_ms - self._now_ms())}"


def event_of(text: str, hooks: Hooks | None) -> Event[Any]:
    """Return an event from its text, decoded."""
    return from_text(text, lambda data, id_, name: opened(hooks, data, Place("event", id_, name)))
