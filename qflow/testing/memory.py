"""Runs functions in memory: router, worker and scheduler in one, on plain dictionaries.

One thing happens at a time, in the order of the virtual clock, so that a test goes the same way
each time. Nothing here decides: matching, replay, retries and schedules are the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from qflow.core.function import Function
from qflow.core.ids import step_hash
from qflow.core.middleware import Hooks
from qflow.core.origin import CHILD
from qflow.core.outcome import Again, StepCall, Store
from qflow.core.waits import Spec
from qflow.engine.session import first_line
from qflow.errors import UsageError
from qflow.store.open import Opening
from qflow.testing.audit import watched
from qflow.testing.ends import Ends
from qflow.testing.entry import Entries
from qflow.testing.intake import Intake
from qflow.testing.opened import OpenSteps, result_of
from qflow.testing.record import ReplayError
from qflow.testing.starts import Arrival, Starts
from qflow.testing.state import OpenStep, State
from qflow.testing.stub import Stubs
from qflow.testing.virtual import Agenda, VirtualClock

_RESTLESS: Final = 100_000
"""So many things happening at one moment are taken for functions that start each other for ever."""


class Memory:
    """The runs of a harness, and what moves them."""

    def __init__(
        self, functions: Iterable[Function[Any]], now_ms: int, stubs: Stubs, *, always_replay: bool
    ) -> None:
        self.always_replay = always_replay
        self.clock = VirtualClock(now_ms)
        self.agenda = Agenda()
        self.states: list[State] = []
        self.began_ms = now_ms
        self.functions = {function.id: self._prepared(function) for function in functions}
        self.specs = {function.id: published(function) for function in self.functions.values()}
        self.opened = OpenSteps(self, self.agenda)
        self.ends = Ends(self)
        self.starts = Starts(self, self.ends, _limits(self.specs.values()))
        self.ends.drops += [self.starts.release, self.opened.ended]
        self.intake = Intake(self)
        self._entries = Entries(self, stubs)
        self.absent: Callable[[str, str], str] | None = None  # gives what an unknown function would
        self._problem: Exception | None = None
        self._busy = False

    @property
    def arrivals(self) -> int:
        """How many events were handled so far."""
        return len(self.opened.arrived)

    def now_ms(self) -> int:
        """Return the time."""
        return self.clock.now_ms()

    def settle(self) -> None:
        """Do all that is due now, and what follows from it without time passing."""
        self.pass_until(self.now_ms())

    def pass_until(self, until_ms: int) -> None:
        """Let time pass; do all that falls due, each at its time. Raises what was found wrong."""
        if self._busy:
            raise UsageError(
                "a function under test used the harness itself: time passes from the test only; to send "
                "events from a function use app.send"
            )
        self._busy = True
        count = 0
        try:
            while (item := self.agenda.take(until_ms)) is not None:
                due_ms, action = item
                count = count + 1 if due_ms <= self.now_ms() else 0
                if count > _RESTLESS:
                    raise UsageError(
                        f"{count} things happened at one moment and more follow: do functions start each "
                        "other without end?"
                    )
                self.clock.move(max(due_ms, self.now_ms()))
                action()
                problem, self._problem = self._problem, None
                if problem is not None:
                    raise problem
            self.clock.move(until_ms)
        finally:
            self._busy = False

    def wake(self, state: State, due_ms: int) -> None:
        """Enter the handler of a run at `due_ms`."""
        state.turn += 1
        state.due_ms = due_ms
        self.agenda.add(due_ms, partial(self._go_on, state, state.turn), state.terms.ahead)

    def stop(self, problem: Exception) -> None:
        """Raise `problem` to the test, as soon as the handler has been left."""
        self._problem = self._problem or problem

    def append(self, fields: Sequence[str], hooks: Hooks | None) -> None:
        """Accept an event that a step sends."""
        self.intake.append(fields, hooks)

    def paused(self, function: str) -> bool:
        """Whether a function is paused."""
        return function in self.starts.paused

    def open(
        self, state: State, openings: Sequence[Opening], call_of: Callable[[str], StepCall | None]
    ) -> None:
        """Open steps of a run beside its main lane."""
        self.opened.open(state, openings, call_of)

    def resume(self, state: State) -> None:
        """Enter the handler of a run again, where it is suspended."""
        if state.suspended and not state.ended:
            state.suspended, state.status = False, "queued"
            self.wake(state, self.now_ms())
            state.due_ms = 0

    def invoke(self, state: State, step: str, spec: Spec) -> str:
        """Create the run that a step invokes; return what the step gives where that is known at once."""
        function, now_ms = spec["fn"], self.now_ms()
        if function not in self.functions:
            return self.absent(step, function) if self.absent else str(spec["refused"])
        hashed = step_hash(step)
        place = self.intake.accepted
        arrival = Arrival(f"invoke:{state.id}:{hashed}", spec["event"], place, now_ms)
        child = self.starts.create(function, arrival, spec["terms"])
        state.children[CHILD + hashed] = child.id
        if child.ended:
            return result_of(child)
        child.parents.append((state, step))
        return ""

    def attempt(self, state: State, opened: OpenStep) -> None:
        """Execute an open step once, and keep what came of it."""
        if self.starts.holds_back(state.function.id, partial(self.opened.attempt, state, opened)):
            return
        now_ms, step = self.now_ms(), opened.step
        effect = self._entries.attempt(state, opened)
        with self.ends.lock:  # a step may cancel its own run on another thread
            if effect is None or state.open.get(step) is not opened:
                return
        if isinstance(effect, Store):
            done = effect.done
            error = "" if done.ok else first_line(done.text)
            state.note(now_ms, step, done.attempt, "ok" if done.ok else "failed", error)
            self.opened.settle(state, step, done.text)
            return
        assert isinstance(effect, Again)
        state.note(now_ms, step, opened.attempt, "retry", first_line(effect.error))
        self.opened.again(state, opened, effect.attempt, now_ms + effect.delay_ms)

    def _prepared(self, function: Function[Any]) -> Function[Any]:
        if not self.always_replay:
            return function

        def report(effect: str) -> None:
            self.stop(
                ReplayError(
                    f"{function.id!r} has an effect outside its steps: {effect}; it happens again on every "
                    "entry of the handler: move it into a step"
                )
            )

        return replace(function, handler=watched(function.handler, report))

    def _go_on(self, state: State, turn: int) -> None:
        if state.turn != turn or state.ended:
            return
        if self.starts.holds_back(state.function.id, partial(self._go_on, state, turn)):
            state.status, state.due_ms = "queued", 0
            state.waits_for = "held by the pause of its function"
            return
        state.begin(self.now_ms())
        self._entries.enter(state, rehearsal=False)
        if state.status == "completed" and self.always_replay and self._problem is None:
            self._entries.enter(state, rehearsal=True)
        with self.ends.lock:  # a step may cancel its own run on another thread
            if state.status in ("completed", "failed"):
                self.ends.ended(state)


def published(function: Function[Any]) -> dict[str, Any]:
    """Return what routers and scheduler know of a function."""
    triggers = [trigger.to_spec() for trigger in function.triggers]
    spec = {"id": function.id, "app": function.app, "version": "", "triggers": triggers}
    of = {"of": function.failure_of} if function.failure_of else {}
    return {**spec, **function.control, **of}


def _limits(specs: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many each limit allows."""
    return {limit["id"]: limit["limit"] for spec in specs for limit in spec.get("concurrency", ())}
