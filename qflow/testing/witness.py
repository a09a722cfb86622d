"""Finds handlers that do not ask for the same when they are entered again.

Only where a harness replays always: every entry is then compared with those before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from qflow.core import codec
from qflow.core.outcome import Answer, Effect, Effects, Execute, Raised, Returned, StepCall
from qflow.core.replay import Frame
from qflow.testing.hold import Hold
from qflow.testing.record import ReplayError
from qflow.testing.state import State

Swap = Callable[[Execute], Execute]

_RULE = "what a handler does may depend on its event and its steps' results only; take the rest in a step"


class Witness:
    """What the entries of one run have asked for."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._expected: list[str] = []
        self._given: dict[str, str] = {}
        self._asked: list[str] = []
        self._entries = 0
        self._asker: object = None
        self._side_by_side = False

    def begin(self) -> None:
        """Note that the handler is entered."""
        self._entries += 1
        self._asked = []
        self._asker = None

    def ask(self, step: str, call: StepCall | None, *, branching: bool) -> str:
        """Note that a step is asked for; return what is wrong about that, or ""."""
        place = len(self._asked)
        self._asked.append(step)
        asker = _asker()
        if place == 0:
            self._asker = asker
        self._side_by_side = self._side_by_side or branching or asker != self._asker
        if place >= len(self._expected):
            self._expected.append(step)
        elif self._expected[place] != step and not self._side_by_side:
            return (
                f"entry {self._entries} of {self._function!r} asked for step {step!r} where an earlier one "
                f"asked for {self._expected[place]!r}: {_RULE}"
            )
        return self._compare_input(step, call)

    def end(self, finished: set[str]) -> str:
        """Note that the handler returned; return what is wrong about that, or ""."""
        left_out = sorted(finished - set(self._asked))
        if not left_out:
            return ""
        return (
            f"entry {self._entries} of {self._function!r} returned without asking for step "
            f"{left_out[0]!r}, which an earlier one asked for: {_RULE}"
        )

    def _compare_input(self, step: str, call: StepCall | None) -> str:
        if call is None or (self._side_by_side and ":" in step):
            return ""  # repeated ids of branches side by side are numbered as they come
        try:
            given = codec.encode([call.args, call.kwargs], "the input")
        except Exception:  # noqa: BLE001  # what cannot be stored cannot be compared
            return ""
        before = self._given.setdefault(step, given)
        if before == given:
            return ""
        return (
            f"step {step!r} of {self._function!r} was given {given:.200} where an earlier entry gave it "
            f"{before:.200}: {_RULE}"
        )


class WatchedFrame(Frame):
    """A frame that keeps the error its handler ends with and, where there is a witness, tells it."""

    __slots__ = ("_call", "_finished", "_hold", "_state", "_swap", "_witness")

    def __init__(
        self, state: State, hold: Hold, witness: Witness | None, swap: Swap, **known: Any
    ) -> None:
        super().__init__(
            state.id,
            target=state.target,
            policy=state.function.policy,
            attempt=state.attempt,
            hooks=state.function.hooks,
            **known,
        )
        self.origin = state.origin
        self._state = state
        self._hold = hold
        self._witness = witness
        self._swap = swap
        self._call: StepCall | None = None
        self._finished = set(state.steps)
        if witness is not None:
            witness.begin()

    def run(self, call: StepCall) -> Effects:
        """Do as a frame does, with stubs; note what the step is given."""
        self._call = call
        return _swapped(super().run(call), self._swap)

    def conclude(self, answer: Answer) -> Effect:
        """Do as a frame does; keep the error as it was raised."""
        effect = super().conclude(answer)
        if isinstance(answer, Raised):
            self._state.cause = answer.error
        if self._witness is not None and isinstance(answer, Returned):
            problem = self._witness.end(self._finished)
            if problem:
                self._hold.stop(ReplayError(problem))  # so that nothing comes of the effect
        return effect

    def _begin(self, step_id: str) -> str:
        step = super()._begin(step_id)
        call, self._call = self._call, None
        if self._witness is not None:
            problem = self._witness.ask(step, call, branching=self.branching)
            if problem:
                raise self._hold.stop(ReplayError(problem))
        return step


def _swapped(effects: Effects, swap: Swap) -> Generator[Effect, Answer, Any]:
    answer: Answer = None
    while True:
        try:
            effect = effects.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = yield swap(effect) if isinstance(effect, Execute) else effect


def _asker() -> object:
    """Return the task that asks, None in a sync handler."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
