"""Runs again, and sooner, in memory: what `again.lua` and `hasten.lua` do on Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from qflow.core.edit import Edit
from qflow.core.ids import step_hash
from qflow.core.origin import CHILD
from qflow.engine.rerunning import check_open, with_data
from qflow.engine.starting import terms_text
from qflow.errors import UsageError
from qflow.testing.gates import Verdict
from qflow.testing.intake import Intake
from qflow.testing.opened import OpenSteps
from qflow.testing.starts import Arrival, Starts
from qflow.testing.state import State

_SETTLED = ("ok", "failed", "timeout")


class Surroundings(Protocol):
    """What is needed of the harness's memory."""

    specs: dict[str, dict[str, Any]]
    intake: Intake
    starts: Starts
    opened: OpenSteps

    def now_ms(self) -> int:
        """Return the time."""
        ...

    def wake(self, state: State, due_ms: int) -> None:
        """Enter the handler of a run at `due_ms`."""
        ...


def rerun(
    around: Surroundings, old: State, data: Mapping[str, Any] | None, step: str, edit: Edit | None
) -> State:
    """Create a run from an earlier one; with `step`, keep what had finished before that did.

    Raises UsageError where the run has no such step, QflowError where a result can be kept by no
    other run.
    """
    kept = _before(old, step) if step else []
    for each in kept:
        check_open(old.id, each, old.steps[each])
    if edit is not None and _waits(old, step):
        raise UsageError(f"step {step!r} calls no function and has no input: leave data out")
    function, now_ms = old.function.id, around.now_ms()
    text = old.event if data is None else with_data(old.event, data)
    terms = terms_text(around.specs[function], text, now_ms)
    arrival = Arrival(old.event_id, text, around.intake.accepted, now_ms)
    new = around.starts.made(function, arrival, terms)
    new.origin_run, new.edit, old.again = old, edit, new
    for each in kept:
        new.steps[each] = old.steps[each]
        child = CHILD + step_hash(each)
        new.children |= {child: old.children[child]} if child in old.children else {}
        outcome = "ok" if new.steps[each].startswith('{"ok":') else "failed"
        new.note(now_ms, each, 0, outcome)
    new.order = [each for each in old.order if each in new.steps]
    new.patches = list(old.patches) if kept else []
    new.terms.batch = list(old.terms.batch) if data is None else []
    around.starts.begin(new, Verdict())
    return new


def hasten(around: Surroundings, state: State, what: str, step: str) -> None:
    """Let a run go on now that waits for a time: past a sleep, or to its next attempt.

    Raises UsageError where it does not wait for that.
    """
    found, other = False, ""
    if state.status == "waiting" and not state.suspended:
        waits, name = "sleep" if state.sleeps else "retry", state.target.step
        if waits == what and step in ("", name):
            around.wake(state, around.now_ms())
            found = True
        else:
            other = _words(waits, name)
    for opened in list(state.open.values()):
        waits = {"sleep": "sleep", "run": "retry"}.get(opened.spec["kind"], "")
        if not waits or not opened.due_ms or (step and step != opened.step):
            continue
        if waits != what:
            other = _words(waits, opened.step)
        elif what == "sleep":
            around.opened.settle(state, opened.step, opened.spec["late"], "ok")
            found = True
        else:
            around.opened.again(state, opened, opened.attempt, around.now_ms())
            found = True
    if not found:
        raise UsageError(
            f"run {state.id} {other}"
            if other
            else f"run {state.id} does not wait for a time: it is {state.standing(around.now_ms())}"
        )


def _words(waits: str, step: str) -> str:
    named = f"step {step!r}" if step else "the handler"
    return f"sleeps in {named}" if waits == "sleep" else f"waits to try {named} again"


def _before(old: State, step: str) -> list[str]:
    """Return the steps that had finished before `step` did, in their order."""
    begun = dict.fromkeys(moment.step for moment in old.moments if moment.step)
    begun |= dict.fromkeys([*old.open, *([old.target.step] if old.target.step else [])])
    if step not in begun:
        listed = ", ".join(map(repr, begun)) or "none yet"
        raise UsageError(f"run {old.id} has no step {step!r}; its steps are {listed}")
    done = [moment.step for moment in old.moments if moment.step and moment.outcome in _SETTLED]
    return done[: done.index(step)] if step in done else done


def _waits(old: State, step: str) -> bool:
    first = next((moment.outcome for moment in old.moments if moment.step == step), "")
    return first in ("sleep", "wait")
