"""Why a run does not move, in one plain sentence, with what to do where something is wrong."""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from qflow.core.durations import from_ms
from qflow.read.facts import Level
from qflow.read.timeline import StepView, Timeline
from qflow.read.topology import Leader

_LATE_MS: Final = 5_000
_UNFINISHED: Final = ("running", "waiting", "sleeping", "queued")


class Around(NamedTuple):
    """What a run depends on: jobs in the queue, workers with what is left of their leases, the leader;
    `paused` says what becomes of the events of its function, "" where it is not paused."""

    queue_depth: int
    leases: dict[str, int]
    leader: Leader
    paused: str = ""


class Standing(NamedTuple):
    """Where a run stands. `remedy` says what to do where it will not go on by itself."""

    level: Level
    text: str
    remedy: str = ""


def standing(told: Timeline, around: Around) -> Standing | None:
    """Say what an unfinished run waits for or does; None for one that has ended."""
    status = told.row.status
    if status == "running":
        return _running(told, around)
    if status == "queued":
        return _queued(told, around)
    return _waiting(told, around) if status == "waiting" else None


def _running(told: Timeline, around: Around) -> Standing:
    step = _at_hand(told)
    doing = f"step {step.id!r}" if step else "the handler, between steps"
    left = around.leases.get(told.worker)
    if told.worker and (left is None or left <= 0):
        return Standing(
            "warn",
            f"{told.worker} was running {doing} and has gone silent.",
            "the rescuer gives the run to another worker; it runs beside `qflow scheduler`",
        )
    since = step.attempts[-1].started if step and step.attempts else None
    length = f" for {_length(told.now - since)}" if since is not None else ""
    by = f" on {told.worker}" if told.worker else ""
    return Standing("ok", f"Running {doing}{by}{length}.")


def _queued(told: Timeline, around: Around) -> Standing:
    if around.paused:
        return Standing("warn", "Its workflow is paused, and so it waits.", "resume the workflow")
    if told.limits:
        return Standing("ok", f"Waits for a slot of {' and '.join(told.limits)}.")
    if told.due is not None and told.due > told.now:
        return Standing("ok", f"Waits for its time, and starts in {_length(told.due - told.now)}.")
    live = sum(left > 0 for left in around.leases.values())
    if not live:
        return Standing("bad", "In the queue, and no worker is running.", "start `qflow worker`")
    jobs = "one job" if around.queue_depth == 1 else f"{around.queue_depth} jobs"
    workers = "one worker" if live == 1 else f"{live} workers"
    return Standing("ok", f"In the queue with {jobs}, for {workers}.")


def _waiting(told: Timeline, around: Around) -> Standing:
    waiting = [s for s in told.steps if s.status in _UNFINISHED]
    step = min(waiting, key=_due) if waiting else None
    due = told.due if told.due is not None else (step.due if step else None)
    text = _wait_words(step, told.limits)
    if len(waiting) > 1:
        text += f", beside {len(waiting) - 1} more open steps"
    if due is None:
        return Standing("ok", f"{text}.")
    is_limit = step is not None and step.kind not in ("step", "sleep")
    if due > told.now:
        until = "gives up" if is_limit else "goes on"
        return Standing("ok", f"{text}; {until} in {_length(due - told.now)}.")
    late = told.now - due
    if late > _LATE_MS and not around.leader.live:
        remedy = "start `qflow scheduler`: nobody wakes what is due"
        return Standing("bad", f"{text}; was due {_length(late)} ago.", remedy)
    return Standing("ok", f"{text}; is due now.")


def _due(step: StepView) -> float:
    return inf if step.due is None else step.due


def _wait_words(step: StepView | None, limits: tuple[str, ...]) -> str:
    if step is None:
        return "Waiting for the next try of the handler"
    match step.kind:
        case "sleep":
            return f"Sleeping in {step.id!r}"
        case "event":
            return f"Waiting in {step.id!r} for an event {step.wants}"
        case "signal":
            return f"Waiting in {step.id!r} for the signal {step.wants}"
        case "approval":
            return f"Waiting in {step.id!r} for a decision: {step.wants}"
        case "run":
            return f"Waiting in {step.id!r} for the run that it invoked"
    if step.status == "queued" and limits:
        return f"Step {step.id!r} waits for a slot of {' and '.join(limits)}"
    if step.status == "queued":
        return f"Step {step.id!r} is in the queue"
    if step.status == "running":
        return f"Step {step.id!r} is running"
    return f"Step {step.id!r} failed {_times(len(step.attempts))} and waits to try again"


def _at_hand(told: Timeline) -> StepView | None:
    open_steps = [s for s in told.steps if s.status in _UNFINISHED]
    return open_steps[-1] if open_steps else None


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _length(ms: int) -> str:
    unit = 60_000 if ms >= 3_600_000 else 1_000 if ms >= 1_000 else 1
    return from_ms(ms // unit * unit)
