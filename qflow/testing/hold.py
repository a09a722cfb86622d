"""A harness's hold on one run: carries outcomes out on its `State`, where a worker's session writes Redis.

The drivers of the engine (`engine.drive`, `engine.advance`) work on it as on a session, and the rules
that make the outcomes are the core's; so all that can differ from production stands in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from qflow.core.attempt import Target
from qflow.core.middleware import Hooks, Place, opened
from qflow.core.outcome import (
    Again,
    Complete,
    Done,
    Effect,
    Fail,
    Open,
    Send,
    Sleep,
    StepCall,
    Store,
)
from qflow.engine.apply import Retention
from qflow.engine.session import Session, Terms, first_line
from qflow.errors import Suspend
from qflow.store.keys import Keys
from qflow.store.open import Opening, Suspension
from qflow.store.run import Held, Lane
from qflow.store.script import Call
from qflow.testing.record import ReplayError
from qflow.testing.state import State

_NOWHERE: Final = Keys("harness")
TERMS: Final = Terms(Retention(0, 0), lambda _since, _function: False, lambda: False, lambda: None)


class Keeper(Protocol):
    """What a hold needs of its harness."""

    always_replay: bool

    def now_ms(self) -> int:
        """Return the time."""
        ...

    def wake(self, state: State, due_ms: int) -> None:
        """Enter the handler of a run at `due_ms`."""
        ...

    def append(self, fields: Sequence[str], hooks: Hooks | None) -> None:
        """Accept an event that a step sends."""
        ...

    def open(
        self, state: State, openings: Sequence[Opening], call_of: Callable[[str], StepCall | None]
    ) -> None:
        """Open steps of a run beside its main lane."""
        ...

    def resume(self, state: State) -> None:
        """Enter the handler of a suspended run again."""
        ...

    def paused(self, function: str) -> bool:
        """Whether a function is paused."""
        ...

    def stop(self, problem: Exception) -> None:
        """Raise `problem` to the test, as soon as the handler has been left."""
        ...


class Hold(Session):
    """One entry of a run's handler. Where it is a `rehearsal`, the run has ended and must end alike."""

    __slots__ = ("_keeper", "_rehearsal", "_state", "call_of")

    def __init__(self, state: State, keeper: Keeper, *, rehearsal: bool) -> None:
        super().__init__(held_of(state), _lane_of(state), TERMS)
        self._state = state
        self._keeper = keeper
        self._rehearsal = rehearsal
        self.call_of: Callable[[str], StepCall | None] = lambda _step: None

    def plan(self, effect: Effect) -> list[Call]:
        """Carry an outcome out; raises Suspend where the handler goes on later or has ended."""
        self._check()
        if self._rehearsal:
            raise self._compare(effect)
        state, now_ms = self._state, self._keeper.now_ms()
        match effect:
            case Open(step, attempt, deaths):
                state.target = Target(step, attempt, deaths)
                paused = self._keeper.paused(state.function.id)
                if not (self.stepped and (self._keeper.always_replay or paused)):
                    return []
                self._go_on(now_ms)
            case Store(done):
                self.keep(done)
                return []
            case Send(done, events):
                self.keep(done)
                for fields in events:
                    self._keeper.append(fields, state.function.hooks)
                return []
            case Sleep(step, delay_ms, due_ms):
                state.target = Target(step, 0, 0)
                state.note(now_ms, step, 0, "sleep")
                self._wait(due_ms or now_ms + delay_ms, f"sleep {step!r}", sleeps=True)
            case Again(step, attempt, deaths, delay_ms, error):
                state.target = Target(step, attempt, deaths)
                state.attempt = state.attempt if step else attempt
                state.note(now_ms, step, attempt - 1, "retry", first_line(error))
                what = f"step {step!r}" if step else "the handler"
                self._wait(now_ms + delay_ms, f"attempt {attempt} of {what}")
            case Complete(output):
                state.status, state.output = "completed", output
                state.note(now_ms, "", state.attempt, "completed")
            case Fail(error):
                state.status, state.error = "failed", error
                state.note(now_ms, "", state.attempt, "failed", first_line(error))
            case _:
                raise AssertionError(f"nothing carries out {effect!r}")
        raise self._let_go()

    def plan_fork(
        self, state: Suspension, openings: Sequence[Opening], *, suspend: bool
    ) -> list[Call]:
        """Open steps; with `suspend`, let go of the run until one is settled."""
        self._check()
        run = self._state
        fresh = [each.step for each in openings if each.spec["kind"] != "drop"]
        if self._rehearsal and fresh:
            raise self._differ(f"asked for step {fresh[0]!r}, which it had not come to")
        if not self._rehearsal:
            self._keeper.open(run, openings, self.call_of)
        if not suspend:
            return []
        if self._rehearsal:
            raise self._let_go()
        run.target, run.status, run.suspended = Target("", 0, 0), "waiting", True
        if len(run.order) > state.known:
            self._keeper.resume(run)
        raise self._let_go()

    def keep(self, done: Done) -> None:
        """Keep a finished step."""
        state = self._state
        if state.status == "cancelled":
            return
        state.steps[done.step] = done.text
        outcome, error = ("ok", "") if done.ok else ("failed", first_line(done.text))
        state.note(done.ended_ms, done.step, done.attempt, outcome, error)
        self.stepped = True

    def stop(self, problem: Exception) -> Suspend:
        """Leave the run where it is and raise `problem` to the test; return what unwinds the handler."""
        self._keeper.stop(problem)
        return self._let_go()

    def _check(self) -> None:
        """Raise Suspend where nothing of the run is to go on under this hold."""
        if self._state.status == "cancelled":
            self.cancel()
        if self.closed:
            raise Suspend

    def _go_on(self, now_ms: int) -> None:
        self._state.status = "queued"
        self._keeper.wake(self._state, now_ms)

    def _wait(self, due_ms: int, what: str, *, sleeps: bool = False) -> None:
        self._state.status, self._state.waits_for = "waiting", what
        self._state.sleeps = sleeps
        self._keeper.wake(self._state, due_ms)

    def _let_go(self) -> Suspend:
        self.closed = True
        return Suspend()

    def _compare(self, effect: Effect) -> Suspend:
        state = self._state
        if isinstance(effect, Complete):
            place = Place("output", state.id)
            now, before = (
                opened(state.function.hooks, text, place) for text in (effect.output, state.output)
            )
            if now == before:
                return self._let_go()
            what = f"returned {now:.200} where it had returned {before:.200}"
        elif isinstance(effect, (Again, Fail)):
            what = f"raised {first_line(effect.error)}"
        else:
            what = f"asked for step {getattr(effect, 'step', '')!r}, which it had not come to"
        return self._differ(what)

    def _differ(self, what: str) -> Suspend:
        return self.stop(
            ReplayError(
                f"the handler of {self._state.function.id!r} was entered again with all its steps "
                f"finished and {what}: what it does may depend on its event and its steps' results only"
            )
        )


def held_of(state: State) -> Held:
    """Return what a worker would know of a run that it holds."""
    return Held(_NOWHERE, state.id, state.function.id, state.attempt, 0, 0)


def _lane_of(state: State) -> Lane:
    """Return the record that a run would have in Redis while this hold is on it."""
    step, attempt, deaths = state.target
    return Lane("s", state.turn, attempt, deaths, "harness", step)
