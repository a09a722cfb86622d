"""A run as Redis would hold it, and a worker that carries effects out on it: the engine in small.

A finished step is committed with whatever comes next, as in `engine.session`. A worker may be told
to die, or to give the run back, at any of its moves.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, cast

from invariants.programs import RETRIES, run_async, run_sync

from qflow.core.attempt import Target
from qflow.core.memo import Memo
from qflow.core.outcome import (
    Again,
    Answer,
    Complete,
    Done,
    Effect,
    Effects,
    Execute,
    Fail,
    Open,
    Raised,
    Returned,
    Sleep,
    Store,
)
from qflow.core.replay import Frame
from qflow.core.retry import Backoff, Policy
from qflow.core.step import Options, Step, SyncStep
from qflow.errors import Suspend

POLICY = Policy(RETRIES, Backoff(base=1, factor=1, max=1, jitter=False))
Flavour = Literal["sync", "async"]


class World:
    """One run. `plan` says at which moves (numbered over all entries) a worker dies or gives back;
    a job bears so many deaths at most."""

    def __init__(
        self, plan: dict[int, Literal["die", "yield"]] | None = None, bearable: int = 2
    ) -> None:
        self.plan = plan or {}
        self.bearable = bearable
        self.steps: dict[str, str] = {}
        self.lane = Target("", 0, 0)
        self.attempt = 0
        self.outcome: Complete | Fail | None = None
        self.executions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.inputs: dict[str, Any] = {}
        self.stored: Counter[str] = Counter()
        self.moves = 0
        self.deaths = 0
        self._done: Done | None = None

    def finish(self, program: tuple[Any, ...], flavour: Flavour = "sync") -> Complete | Fail:
        """Enter the handler until the run has ended."""
        for _ in range(500):
            if self.outcome is not None:
                return self.outcome
            self.enter(program, flavour)
        raise AssertionError("the run does not end")

    def enter(self, program: tuple[Any, ...], flavour: Flavour) -> None:
        """One entry of the handler: by a fresh worker, from what is known."""
        self._done = None
        frame = Frame(
            "run", Memo(dict(self.steps)), self.lane, POLICY, attempt=self.attempt, now_ms=lambda: 0
        )
        answer: Answer
        try:
            if flavour == "sync":
                result = run_sync(
                    program, SyncStep(frame, cast(Any, self._drive), Options.of(POLICY)), []
                )
            else:
                coroutine = run_async(
                    program, Step(frame, cast(Any, self._adrive), Options.of(POLICY)), []
                )
                result = _result_of(coroutine)
            answer = Returned(result, 0, 0)
        except Suspend:
            return
        except Exception as error:
            answer = Raised(error, 0, 0)
        try:
            self._carry_out(frame.conclude(answer))
        except Suspend:
            return

    async def _adrive(self, effects: Effects) -> Any:
        return self._drive(effects)

    def _drive(self, effects: Effects) -> Any:
        answer: Answer = None
        try:
            while True:
                answer = self._carry_out(effects.send(answer))
        except StopIteration as stop:
            return stop.value

    def _carry_out(self, effect: Effect) -> Answer:
        self._meet_fate(effect)
        match effect:
            case Execute():
                return self._execute(effect)
            case Store(done):
                assert done.step not in self.steps, "a settled step is settled again"
                self._done = done
            case Open(step, attempt, deaths):
                self._commit(Target(step, attempt, deaths))
            case Sleep(step):
                self._commit(Target(step, 0, 0))
                raise Suspend
            case Again(step, attempt, deaths):
                self.failures[step] += 1
                self.attempt = self.attempt if step else attempt
                self._commit(Target(step, attempt, deaths))
                raise Suspend
            case Complete() | Fail():
                self._commit(self.lane)
                self.outcome = effect
                raise Suspend
        return None

    def _meet_fate(self, effect: Effect) -> None:
        fate = self.plan.get(self.moves)
        self.moves += 1
        if fate == "die" and self.lane.deaths < self.bearable:
            self.deaths += 1
            lane = self.lane
            self.lane = Target(lane.step, lane.attempt + 1, lane.deaths + 1)
            raise Suspend
        if fate == "yield" and isinstance(effect, Open):
            self._commit(Target(effect.step, effect.attempt, effect.deaths))
            raise Suspend

    def _execute(self, effect: Execute) -> Answer:
        step, call = effect.step, effect.call
        assert step not in self.steps, "a finished step is executed again"
        assert self.lane == Target(step, effect.attempt, self.lane.deaths), "it has no job"
        tried = effect.attempt - self.lane.deaths
        assert tried == self.failures[step], "an attempt that ended with its worker counts"
        assert self.inputs.setdefault(step, call.args) == call.args, "its inputs have changed"
        self.executions[step] += 1
        try:
            return Returned(call.fn(*call.args, tried), 0, 0)
        except Exception as error:
            return Raised(error, 0, 0)

    def _commit(self, lane: Target) -> None:
        done, self._done = self._done, None
        if done is not None:
            self.steps[done.step] = done.text
            self.stored[done.step] += 1
        self.lane = lane


def _result_of(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a handler of the model waits for something else")
