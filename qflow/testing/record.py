"""What a test sees of a run: its state, its steps, and what happened at which time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from qflow.core import codec
from qflow.core.event import Event, from_text
from qflow.core.memo import Memo
from qflow.core.middleware import Hooks, Place, opened, opened_error
from qflow.engine.advance import opened_end
from qflow.errors import QflowError, StepError, UsageError
from qflow.testing.state import Moment, State

TRIES: Final = ("ok", "failed", "retry")
"""Outcomes of a moment that was an attempt of a step."""


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


class HarnessRun:
    """A run in a harness; what it says is as of now."""

    def __init__(self, state: State, now_ms: Callable[[], int]) -> None:
        self._state = state
        self._now_ms = now_ms

    def __repr__(self) -> str:
        return f"<{_what(self._state)}: {self._state.standing(self._now_ms())}>"

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
        """Its status: "queued", "waiting", "completed", "failed", "cancelled", "skipped"; "running" is
        seen only by what it executes."""
        return self._state.status

    @property
    def reason(self) -> str:
        """Why it was cancelled or skipped, else ""."""
        return self._state.reason

    @property
    def origin(self) -> HarnessRun | None:
        """The run that it runs again, None where it is a first one."""
        old = self._state.origin_run
        return None if old is None else HarnessRun(old, self._now_ms)

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

        Raises RunFailed where it failed, UsageError where it has not ended, was cancelled or skipped.
        """
        state = self._state
        if state.status == "completed":
            place = Place("output", state.id)
            return codec.decode(opened(state.function.hooks, state.output, place))
        if state.status != "failed":
            raise UsageError(
                f"{_what(state)} has no result: it is {state.standing(self._now_ms())}"
            )
        told = json.loads(state.error)
        place = Place("error", state.id, told.get("step", ""))
        told = opened_error(state.function.hooks, told, place)
        raise RunFailed(
            _what(self._state),
            told["name"],
            told["message"],
            told["traceback"],
            told.get("step", ""),
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
            raise UsageError(
                f"{_what(self._state)} has not come to a step {id!r}; those it began: {begun}"
            )
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


def _what(state: State) -> str:
    return f"run of {state.function.id!r}"


def event_of(text: str, hooks: Hooks | None) -> Event[Any]:
    """Return an event from its text, decoded."""
    if hooks is not None and codec.TAG in text:
        text = opened_end(hooks, text)
    return from_text(text, lambda data, id_, name: opened(hooks, data, Place("event", id_, name)))
