"""Steps beside the main lane, in memory: waits, time-outs, invoked runs, steps that are jobs.

What `fork.lua`, `settle.lua`, `signal.lua` and the routers' deliveries do in Redis is done here on a run's
`State`; which event fits a wait is the engine's own answer (`engine.lookback`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from qflow.core.memo import error_text
from qflow.core.middleware import Hooks
from qflow.core.outcome import StepCall
from qflow.core.waits import Spec
from qflow.engine.intake import Accepted
from qflow.engine.lookback import fits
from qflow.store.open import Opening
from qflow.testing.state import OpenStep, State
from qflow.testing.virtual import Agenda


class Surroundings(Protocol):
    """What open steps need of the harness's memory."""

    def now_ms(self) -> int:
        """Return the time."""
        ...

    def attempt(self, state: State, opened: OpenStep) -> None:
        """Execute an open step once."""
        ...

    def invoke(self, state: State, step: str, spec: Spec) -> str:
        """Create the run that a step invokes; return what the step gives where that is known at once."""
        ...

    def append(self, fields: Sequence[str], hooks: Hooks | None) -> None:
        """Accept an event, given as fields and values in turn."""
        ...

    def resume(self, state: State) -> None:
        """Enter the handler of a suspended run again."""
        ...


class OpenSteps:
    """The open steps of all runs of a harness."""

    def __init__(self, surroundings: Surroundings, agenda: Agenda) -> None:
        self._around = surroundings
        self._agenda = agenda
        self._signals: dict[str, tuple[State, str]] = {}
        self.arrived: list[Accepted] = []

    def open(
        self, state: State, openings: Sequence[Opening], call_of: Callable[[str], StepCall | None]
    ) -> None:
        """Open steps, drop others; those that are open or settled already stay as they are."""
        for step, spec in openings:
            if spec["kind"] == "drop":
                self._drop(state, step)
            elif step not in state.open and step not in state.steps:
                opened = state.open[step] = OpenStep(step, spec, call_of(step))
                self._begin(state, opened)

    def settle(self, state: State, step: str, text: str, outcome: str = "") -> None:
        """Keep what became of an open step; wake its handler where it is suspended."""
        if step not in state.open:
            return
        self._drop(state, step)
        state.steps[step] = text
        state.order.append(step)
        if outcome:
            state.note(self._around.now_ms(), step, 0, outcome)
        self._around.resume(state)

    def again(self, state: State, opened: OpenStep, attempt: int, due_ms: int) -> None:
        """Try an open step again at `due_ms`."""
        opened.attempt, opened.due_ms = attempt, due_ms
        self._agenda.add(due_ms, partial(self.attempt, state, opened), 0)

    def attempt(self, state: State, opened: OpenStep) -> None:
        """Execute an open step, unless it was settled or dropped meanwhile."""
        if state.open.get(opened.step) is opened:
            opened.due_ms = 0
            self._around.attempt(state, opened)

    def deliver(self, states: Sequence[State], event: Accepted) -> None:
        """Give an event to the steps that wait for it, one of each run at most."""
        self.arrived.append(event)
        for state in states:
            for opened in list(state.open.values()):
                if opened.spec["kind"] == "event" and self._take(state, opened, event):
                    break

    def signal(self, name: str, text: str) -> bool:
        """Give a signal to the step that waits for it; return whether one does."""
        if name not in self._signals:
            return False
        self.settle(*self._signals[name], text, "ok")
        return True

    def ended(self, state: State) -> None:
        """Drop what an ended run has open, and tell the step that invoked it."""
        for step in list(state.open):
            self._drop(state, step)
        for parent, step in state.parents:
            self.settle(parent, step, result_of(state), _ended_well(state))

    def _begin(self, state: State, opened: OpenStep) -> None:
        spec, step, now_ms = opened.spec, opened.step, self._around.now_ms()
        kind = spec["kind"]
        if kind == "run":
            opened.attempt = spec["attempt"]
            self._agenda.add(now_ms, partial(self.attempt, state, opened), 0)
            return
        if kind == "send":
            for fields in spec["events"]:
                self._around.append(fields, state.function.hooks)
            self.settle(state, step, spec["result"], "ok")
            return
        state.note(now_ms, step, 0, "sleep" if kind == "sleep" else "wait")
        if spec["due_ms"] or spec["delay_ms"]:
            opened.due_ms = spec["due_ms"] or now_ms + spec["delay_ms"]
            self._agenda.add(opened.due_ms, partial(self._late, state, opened))
        if kind == "event" and "mark" in spec:
            for event in self.arrived[state.since :]:
                if self._take(state, opened, event):
                    return
        elif kind == "signal" and spec["signal"] in self._signals:
            self.settle(state, step, spec["refused"], "failed")
        elif kind == "signal":
            self._signals[spec["signal"]] = state, step
        elif kind == "child" and (text := self._around.invoke(state, step, spec)):
            self.settle(state, step, text, "ok" if text.startswith('{"ok":') else "failed")

    def _take(self, state: State, opened: OpenStep, event: Accepted) -> bool:
        if event.event_id == state.event_id or event.event_id in state.taken:
            return False
        if not fits(opened.spec, {"event": state.event}, event):
            return False
        state.taken.add(event.event_id)
        self.settle(state, opened.step, f'{{"ok":{event.text}}}', "ok")
        return True

    def _late(self, state: State, opened: OpenStep) -> None:
        if state.open.get(opened.step) is opened:
            outcome = "ok" if opened.spec["kind"] == "sleep" else "timeout"
            self.settle(state, opened.step, opened.spec["late"], outcome)

    def _drop(self, state: State, step: str) -> None:
        opened = state.open.pop(step, None)
        name = opened.spec.get("signal") if opened is not None else None
        if name is not None and self._signals.get(name) == (state, step):
            del self._signals[name]


def result_of(state: State) -> str:
    """Return what a run that has ended gives to the step that invoked it."""
    if state.status == "completed":
        return f'{{"ok":{state.output}}}'
    if state.status == "failed":
        return f'{{"error":{state.error}}}'
    name, message = "RunCancelled", "the invoked run was cancelled"
    if state.status == "skipped":
        name, message = "RunSkipped", f"the invoked run was skipped: {state.reason}"
    return error_text({"name": name, "message": message, "traceback": ""})


def _ended_well(state: State) -> str:
    return "ok" if state.status == "completed" else "failed"
