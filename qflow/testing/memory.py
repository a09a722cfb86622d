"""Runs functions in memory: router, worker and scheduler in one, on plain dictionaries.

One thing happens at a time, in the order of the virtual clock, so that a test goes the same way
each time. Nothing here decides: matching, replay, retries and schedules are the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from qflow.core.function import Function
from qflow.core.ids import step_hash, ulid
from qflow.core.middleware import Hooks
from qflow.core.origin import CHILD
from qflow.core.outcome import Again, StepCall, Store
from qflow.engine.session import first_line
from qflow.errors import UsageError
from qflow.store.open import Opening
from qflow.testing.audit import watched
from qflow.testing.entry import Entries
from qflow.testing.intake import Intake
from qflow.testing.opened import OpenSteps
from qflow.testing.record import OpenStep, Parent, ReplayError, State
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
        self.functions = {function.id: self._prepared(function) for function in functions}
        self.opened = OpenSteps(self, self.agenda)
        self.intake = Intake(self)
        self._began_ms = now_ms
        self._entries = Entries(self, stubs)
        self._problem: Exception | None = None
        self._busy = False

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
        self.agenda.add(due_ms, partial(self._go_on, state, state.turn))

    def stop(self, problem: Exception) -> None:
        """Raise `problem` to the test, as soon as the handler has been left."""
        self._problem = self._problem or problem

    def append(self, fields: Sequence[str], hooks: Hooks | None) -> None:
        """Accept an event that a step sends."""
        self.intake.append(fields, hooks)

    def create(
        self, function: Function[Any], event_id: str, text: str, parent: Parent | None = None
    ) -> State:
        """Create a run with an event's text; it begins once nothing else is being done."""
        now_ms = self.now_ms()
        # Made of nothing but what the test did before, so that backoff, which ids seed, is the same.
        run = ulid(now_ms - self._began_ms, (len(self.states) + 1).to_bytes(10))
        state = State(run, function, event_id, text, now_ms)
        state.since, state.parent = len(self.opened.arrived), parent
        self.states.append(state)
        self.wake(state, now_ms)
        state.due_ms = 0
        return state

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

    def invoke(self, state: State, step: str, function: str, text: str) -> bool:
        """Create the run that a step invokes; return False where there is no such function."""
        found = self.functions.get(function)
        if found is None:
            return False
        hashed = step_hash(step)
        child = self.create(found, f"invoke:{state.id}:{hashed}", text, (state, step))
        state.children[CHILD + hashed] = child.id
        return True

    def attempt(self, state: State, opened: OpenStep) -> None:
        """Execute an open step once, and keep what came of it."""
        now_ms, step = self.now_ms(), opened.step
        effect = self._entries.attempt(state, opened)
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
        state.begin()
        self._entries.enter(state, rehearsal=False)
        if state.status == "completed" and self.always_replay and self._problem is None:
            self._entries.enter(state, rehearsal=True)
        if state.ended:
            self.opened.ended(state)
