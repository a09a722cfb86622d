"""Runs functions in memory: router, worker and scheduler in one, on plain dictionaries.

One thing happens at a time, in the order of the virtual clock, so that a test goes the same way
each time. Nothing here decides: matching, replay, retries and schedules are the core's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

from qflow.core.cron import Cron, fire_ms, next_tick, tick_event
from qflow.core.event import Event, as_mapping
from qflow.core.function import Function
from qflow.core.ids import ulid
from qflow.core.match import Triggers
from qflow.core.memo import Memo
from qflow.core.outcome import Answer, Effect, Execute
from qflow.core.replay import Effects
from qflow.engine.advance import Entry, run_async, run_sync
from qflow.engine.commit import Committer
from qflow.engine.drive import AsyncLine, Engine, Line
from qflow.engine.intake import Rejected, read_entry
from qflow.errors import EventError, UsageError
from qflow.logs import run_logger
from qflow.services.loop import LoopThread
from qflow.store import stream
from qflow.store.run import Claimed
from qflow.testing.audit import watched
from qflow.testing.hold import Hold, lane_of
from qflow.testing.record import ReplayError, State
from qflow.testing.stub import Stubs
from qflow.testing.virtual import Agenda, VirtualClock
from qflow.testing.witness import WatchedFrame, Witness

_SEEN_MS: Final = 24 * 3_600_000
_RESTLESS: Final = 100_000
"""So many things happening at one moment are taken for functions that start each other for ever."""

Swap = Callable[[Execute], Execute]


class Memory:
    """The runs of a harness, and what moves them."""

    def __init__(
        self, functions: Iterable[Function[Any]], now_ms: int, stubs: Stubs, *, always_replay: bool
    ) -> None:
        self.always_replay = always_replay
        self.clock = VirtualClock(now_ms)
        self.states: list[State] = []
        self.events: list[Event[Any]] = []
        self.functions = {function.id: self._prepared(function) for function in functions}
        self._began_ms = now_ms
        self._stubs = stubs
        self._agenda = Agenda()
        self._engine = Engine(_NoCommitter(), self.clock, _loop_thread())
        self._seen: dict[tuple[str, str], int] = {}
        self._witnesses: dict[str, Witness] = {}
        self._problem: Exception | None = None
        self._busy = False
        specs = {
            function.id: {"triggers": [trigger.to_spec() for trigger in function.triggers]}
            for function in self.functions.values()
        }
        self._triggers = Triggers(specs)
        for function in self.functions.values():
            for cron in function.crons:
                self._plan_tick(function, cron, now_ms)

    # -- time

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
            while (item := self._agenda.take(until_ms)) is not None:
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
        self._agenda.add(due_ms, partial(self._go_on, state, state.turn))

    def stop(self, problem: Exception) -> None:
        """Raise `problem` to the test, as soon as the handler has been left."""
        self._problem = self._problem or problem

    # -- events

    def take(self, events: Sequence[Event[Any]], encode: Callable[[Event[Any]], str]) -> list[str]:
        """Accept events: they start functions once nothing else is being done."""
        for event, data in [(event, encode(event)) for event in events]:
            self.events.append(event)
            fields = {"name": event.name, "data": data, "id": event.id, "ts": str(event.ts)}
            entry = stream.Entry(
                f"{self.now_ms()}-{len(self.events)}",
                {key.encode(): text.encode() for key, text in {**fields, "v": event.v}.items()},
            )
            self._agenda.add(self.now_ms(), partial(self._route, entry))
        return [event.id for event in events]

    def create(self, function: Function[Any], text: str) -> State:
        """Create a run with an event's text; it begins once nothing else is being done."""
        now_ms = self.now_ms()
        # Made of nothing but what the test did before, so that backoff, which ids seed, is the same.
        run = ulid(now_ms - self._began_ms, (len(self.states) + 1).to_bytes(10))
        state = State(run, function, text, now_ms)
        self.states.append(state)
        self.wake(state, now_ms)
        state.due_ms = 0
        return state

    def _route(self, entry: stream.Entry) -> None:
        read = read_entry(entry)
        if isinstance(read, Rejected):
            raise EventError(f"an event was rejected: {read.reason}")
        now_ms = self.now_ms()
        matched = self._triggers.matching(read.name, lambda: as_mapping(read.text), now_ms)
        for function in matched.functions:
            key = function, read.event_id
            if self._seen.get(key, 0) <= now_ms:
                self._seen[key] = now_ms + _SEEN_MS
                self.create(self.functions[function], read.text)

    def _plan_tick(self, function: Function[Any], cron: Cron, after_ms: int) -> None:
        tick_ms = next_tick(cron, after_ms)
        at_ms = fire_ms(cron, tick_ms, f"{function.id}|{cron.key}|{tick_ms}")
        self._agenda.add(at_ms, partial(self._fire, function, cron, tick_ms))

    def _fire(self, function: Function[Any], cron: Cron, tick_ms: int) -> None:
        self._plan_tick(function, cron, tick_ms)
        self.create(function, tick_event(cron, tick_ms, self.now_ms())[1])

    # -- runs

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
        self._enter(state, rehearsal=False)
        if self.always_replay and state.status == "completed" and self._problem is None:
            self._enter(state, rehearsal=True)

    def _enter(self, state: State, *, rehearsal: bool) -> None:
        function = state.function
        hold = Hold(state, self, rehearsal=rehearsal)
        witness = None
        if self.always_replay:
            witness = self._witnesses.setdefault(state.id, Witness(function.id))
        frame = WatchedFrame(
            state,
            hold,
            witness,
            memo=Memo(dict(state.steps)),
            now_ms=self.now_ms,
            hooks=function.hooks,
        )
        fields = {"event": state.event, "attempt": str(state.attempt)}
        claimed = Claimed("", lane_of(state), state.id, fields, {})
        logger = run_logger(state.id, function.id, state.attempt, lambda: frame.replaying)
        entry = Entry(function, claimed, hold, frame, logger)
        swap = partial(self._instead, function.id, hold)
        if function.is_async:
            entering = _enter_async(self._engine, entry, hold, swap)
            asyncio.run_coroutine_threadsafe(entering, self._engine.loops.loop()).result()
        else:
            run_sync(self._engine, entry, _Line(self._engine, hold, swap))

    def _instead(self, function: str, hold: Hold, effect: Execute) -> Execute:
        try:
            return self._stubs.instead(function, effect)
        except UsageError as problem:
            raise hold.stop(problem) from None


class _Line(Line):
    """Drives a sync handler, with stubs."""

    def __init__(self, engine: Engine, hold: Hold, swap: Swap) -> None:
        super().__init__(engine, hold)
        self._swap = swap

    def __call__(self, effects: Effects) -> Any:
        return super().__call__(_swapped(effects, self._swap))


class _AsyncLine(AsyncLine):
    """Drives an async handler, with stubs."""

    def __init__(self, engine: Engine, hold: Hold, swap: Swap) -> None:
        super().__init__(engine, hold)
        self._swap = swap

    async def __call__(self, effects: Effects) -> Any:
        return await super().__call__(_swapped(effects, self._swap))


class _NoCommitter(Committer):
    """Writes nothing: holds carry everything out themselves."""

    def __init__(self) -> None:  # without a Redis
        pass


def _swapped(effects: Effects, swap: Swap) -> Generator[Effect, Answer, Any]:
    answer: Answer = None
    while True:
        try:
            effect = effects.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = yield swap(effect) if isinstance(effect, Execute) else effect


async def _enter_async(engine: Engine, entry: Entry, hold: Hold, swap: Swap) -> None:
    """Enter the handler; leave when its other tasks have noticed that it was left, too."""
    before = asyncio.all_tasks()
    await run_async(engine, entry, _AsyncLine(engine, hold, swap))
    for _ in range(10):
        if asyncio.all_tasks() <= before:
            return
        await asyncio.sleep(0)


@cache
def _loop_thread() -> LoopThread:
    """Return the event loop of all harnesses of this process: what is bound to it outlives a test."""
    return LoopThread("harness")
