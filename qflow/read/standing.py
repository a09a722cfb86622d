"""Why a run does not move, in one plain sentence, with what to do where something is wrong."""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from qflow.core.durations import from_ms
from qflow.read.around import Around, Limited
from qflow.read.facts import Level
from qflow.read.timeline import StepView, Timeline

_LATE_MS: Final = 5_000
_HELD_WHY: Final = {
    "throttled": "its throttle lets it start later",
    "debounced": "debounced, it starts once no newer event has come for a while",
    "batched": "it gathers events until its batch is full",
    "priority": "its priority puts it behind others",
}
_UNFINISHED: Final = ("running", "waiting", "sleeping", "queued")


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
    if around.limited is not None:
        return _behind_a_limit(around.limited)
    if told.limits:
        return Standing("ok", f"Waits for a slot of {' and '.join(told.limits)}.")
    if told.due is not None:
        why = _HELD_WHY.get(told.held, "not due yet")
        return _until(told, around, f"Not started yet: {why}", told.due, "starts")
    if not any(left > 0 for left in around.leases.values()):
        return Standing("bad", "In the queue, and no worker is running.", "start `qflow worker`")
    if not around.published:
        remedy = "start `qflow worker` on the folder that has it, or cancel the run"
        return Standing("bad", "No worker here has its workflow any more.", remedy)
    live = sum(left > 0 for left in around.leases.values())
    jobs = "one job" if around.queue_depth == 1 else f"{around.queue_depth} jobs"
    workers = "one worker" if live == 1 else f"{live} workers"
    return Standing("ok", f"In the queue with {jobs}, for {workers}.")


def _behind_a_limit(limited: Limited) -> Standing:
    of = "" if limited.key == "*" else f" for {limited.key}"
    slots = "its one slot is" if limited.held == 1 else f"all its {limited.held} slots are"
    place = (
        "it is next"
        if limited.place == 1
        else f"it is number {limited.place} of {limited.waiters} that wait"
    )
    name = limited.limit.split(":")[1]
    return Standing("ok", f"Waiting for a slot of {name}{of}: {slots} taken, {place}.")


def _waiting(told: Timeline, around: Around) -> Standing:
    waiting = [s for s in told.steps if s.status in _UNFINISHED]
    step = min(waiting, key=_due) if waiting else None
    due = told.due if told.due is not None else (step.due if step else None)
    text = _wait_words(step, told.limits)
    if len(waiting) > 1:
        text += f", beside {len(waiting) - 1} more open steps"
    if step is not None and step.kind == "event" and around.strays:
        came = "one such event came" if around.strays == 1 else f"{around.strays} such events came"
        text += f"; {came} since the run began and did not match"
    if around.paused == "hold":
        text += "; its workflow is paused"
    if due is None:
        return Standing("ok", f"{text}.")
    is_limit = step is not None and step.kind not in ("step", "sleep")
    return _until(told, around, text, due, "gives up" if is_limit else "goes on")


def _until(told: Timeline, around: Around, text: str, due: int, then: str) -> Standing:
    if due > told.now:
        return Standing("ok", f"{text}; {then} in {_length(due - told.now)}.")
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
            where = f" where {step.match}" if step.match else ""
            return f"Waiting in {step.id!r} for an event {step.wants}{where}"
        case "signal":
            return f"Waiting in {step.id!r} for the signal {step.wants}"
        case "approval":
            return f"Waiting in {step.id!r} for a decision: {step.wants}"
        case "run":
            return f"Waiting in {step.id!r} for the run {step.child} that it invoked"
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
