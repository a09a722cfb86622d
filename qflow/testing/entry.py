"""Enters handlers, and executes open steps, with the engine's own drivers on a hold in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from functools import cache, partial
from typing import Any, Final, Protocol

from qflow.core.context import Run
from qflow.core.memo import Memo
from qflow.core.outcome import Effect, Execute
from qflow.core.patches import Patches
from qflow.engine.advance import Entry, run_async, run_sync
from qflow.engine.branch import Branch, BranchLine
from qflow.engine.commit import Committer
from qflow.engine.drive import Known, Line
from qflow.engine.execute import Engine
from qflow.engine.group import AsyncLine
from qflow.engine.lookback import Lookback
from qflow.errors import UsageError
from qflow.logs import run_logger
from qflow.services.loop import LoopThread
from qflow.store.run import Claimed, Lane
from qflow.store.script import Call
from qflow.testing.hold import TERMS, Hold, Keeper, held_of
from qflow.testing.state import OpenStep, State
from qflow.testing.stub import Stubs
from qflow.testing.virtual import VirtualClock
from qflow.testing.witness import WatchedFrame, Witness

_TURNS: Final = 20
_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 5.0


class Keeping(Keeper, Protocol):
    """What is needed of the harness's memory."""

    clock: VirtualClock
    specs: dict[str, dict[str, Any]]


class Entries:
    """Enters the handlers of a harness's runs."""

    def __init__(self, keeper: Keeping, stubs: Stubs) -> None:
        self._keeper = keeper
        self._stubs = stubs
        self._committer = _NoCommitter()
        self._engine = Engine(self._committer, keeper.clock, _loop_thread())
        self._witnesses: dict[str, Witness] = {}

    def enter(self, state: State, *, rehearsal: bool) -> None:
        """Enter the handler of a run; return once it goes on later, or has ended."""
        function = state.function
        holds = iter([hold := Hold(state, self._keeper, rehearsal=rehearsal)])

        def again() -> Hold:
            """Return the hold to go on under: the first one, then one for each time it is taken again."""
            if (first := next(holds, None)) is not None:
                return first
            if not rehearsal:
                state.go_on(self._keeper.now_ms())
            return Hold(state, self._keeper, rehearsal=rehearsal)

        ready = [step for step in state.order if function.is_async]
        witness = None
        if self._keeper.always_replay:
            witness = self._witnesses.setdefault(state.id, Witness(function.id))
        frame = WatchedFrame(
            state,
            hold,
            witness,
            partial(self._instead, function.id, hold),
            memo=Memo({step: text for step, text in state.steps.items() if step not in ready}),
            now_ms=self._keeper.now_ms,
        )
        frame.expect(len(ready))
        known = Known(
            state.origin.fields,
            frozenset(state.open),
            len(state.order) - len(ready),
            _Lookback(self._keeper.specs),
        )
        logger = run_logger(state.id, function.id, state.attempt, lambda: frame.replaying)
        told = [(step, state.steps[step]) for step in ready]
        patches = Patches(state.patches, state.patches.append)
        entry = Entry(function, state.id, frame, logger, known, told, patches)
        if state.edit is not None:
            frame.edit = state.edit
        if function.is_async:
            entered = _Frame(self._engine, self._committer, entry, again)
            hold = self._on_loop(entered.enter(state))
        else:
            line = Line(self._engine, hold)
            hold.call_of = line.calls.get
            stop = _stopping(known, line)
            state.interrupts.append(stop)
            run_sync(self._engine, entry, line)
            state.interrupts.remove(stop)
            self._hear_out(state)
        assert hold.closed, f"nothing came of entering run {state.id}"

    def attempt(self, state: State, opened: OpenStep) -> Effect | None:
        """Execute an open step once; return what came of it, None where it was interrupted."""
        assert opened.call is not None
        function = state.function
        instead = self._stubs.instead(
            function.id, Execute(opened.call, opened.step, opened.attempt)
        )
        branch = _Branch(state, opened)
        line = BranchLine(self._engine, branch)
        logger = run_logger(state.id, function.id, state.attempt, lambda: False)
        line.begin(function.hooks, Run(state.id, function.id, state.attempt, logger))
        state.interrupts.append(branch.interrupt)
        try:
            if function.is_async:
                self._on_loop(line.arun(instead.call))
            else:
                line.run(instead.call)
        except CancelledError:
            return None
        finally:
            state.interrupts.remove(branch.interrupt)
            self._hear_out(state)
        return branch.effect

    def _instead(self, function: str, hold: Hold, effect: Execute) -> Execute:
        try:
            return self._stubs.instead(function, effect)
        except UsageError as problem:
            raise hold.stop(problem) from None

    def _hear_out(self, state: State) -> None:
        """Let an async step that was interrupted do what it does then."""
        if state.status == "cancelled":
            self._on_loop(_turns())

    def _on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._engine.loops.loop()).result()


class _Branch(Branch):
    """The hold on an open step: keeps what came of its try."""

    def __init__(self, state: State, opened: OpenStep) -> None:
        lane = Lane("s", 0, opened.attempt, 0, "harness", opened.step)
        claimed = Claimed("", lane, state.id, {}, {}, is_open=True)
        super().__init__(held_of(state), claimed, TERMS)
        self.effect: Effect

    def plan(self, effect: Effect) -> list[Call]:
        self.effect = effect
        return []

    def settle(self, replies: Sequence[Any]) -> None:
        pass


class _NoCommitter(Committer):
    """Writes nothing: holds carry everything out themselves."""

    def __init__(self) -> None:  # without a Redis
        self.asked: asyncio.Event | None = None

    def submit(self, calls: Sequence[Call]) -> list[Any]:
        return []

    async def asubmit(self, calls: Sequence[Call]) -> list[Any]:
        if calls and self.asked is not None:  # a suspended frame asks for its run again
            self.asked.set()
        return []


class _Lookback(Lookback):
    """Knows the functions of a harness; prepares nothing, since all events are at hand."""

    def __init__(self, specs: Mapping[str, dict[str, Any]]) -> None:  # without a Redis
        self._specs = specs

    def published(self, function: str) -> dict[str, Any] | None:
        """Return what is known of a function."""
        return self._specs.get(function)

    def prepare(self, spec: Any, fields: Any) -> None:
        pass


class _Frame:
    """One frame of an async handler. Where it is suspended it is dropped, and entered anew from its top,
    unless it waits for the loop itself (a sleep or a socket of its own): then it may go on by itself."""

    def __init__(
        self, engine: Engine, committer: _NoCommitter, entry: Entry, again: Callable[[], Hold]
    ) -> None:
        self._engine = engine
        self._committer = committer
        self._entry = entry
        self._again = again

    async def enter(self, state: State) -> Hold:
        """Enter the handler; return the hold under which it was left."""
        before, outside = asyncio.all_tasks(), _awaited_of_the_loop()
        let_go, asked = asyncio.Event(), asyncio.Event()
        self._committer.asked = asked
        hold = self._again()
        frame, known = self._entry.frame, self._entry.known
        line = AsyncLine(self._engine, hold, frame, known, lambda _line, _hold: let_go.set())
        hold.call_of = line.call_of
        handler = asyncio.create_task(run_async(self._engine, self._entry, line))
        stop = _stopping(known, line)
        state.interrupts.append(stop)
        while True:
            gone = asyncio.create_task(let_go.wait())
            await asyncio.wait({handler, gone}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if handler.done() or not await _goes_on(handler, asked, outside):
                break
            let_go.clear()
            asked.clear()
            hold = self._again()
            hold.call_of = line.call_of
            line.planner.tell([(step, state.steps[step]) for step in state.order[line.settled :]])
            line.planner.take(hold)
        state.interrupts.remove(stop)
        line.drop()
        await asyncio.wait({handler})
        for _ in range(10):  # so that its other tasks notice, too
            if asyncio.all_tasks() <= before:
                break
            await asyncio.sleep(0)
        handler.result()
        return hold


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _stopping(known: Known, line: Line | AsyncLine) -> Callable[[], None]:
    """Return what tells a handler that its run was cancelled, from any thread."""

    def stop() -> None:
        known.notes.cancelled = True
        line.interrupt()

    return stop


async def _goes_on(
    handler: asyncio.Task[Any], asked: asyncio.Event, outside: dict[int, object]
) -> bool:
    """Wait while a suspended frame may go on by itself; return whether it asks for its run again."""
    ends = time.monotonic() + _PATIENCE_S
    quiet = 0
    while not (asked.is_set() or handler.done()) and time.monotonic() < ends:
        if outside.keys() >= _awaited_of_the_loop().keys():
            quiet += 1  # what was awaited may just have come: let it be heard
            if quiet > _TURNS:
                return False
            await asyncio.sleep(0)
        else:
            quiet = 0
            await asyncio.sleep(_LOOK_S)
    return asked.is_set()


def _awaited_of_the_loop() -> dict[int, object]:
    """Return the timers (by identity) and sockets that the loop waits for."""
    loop: Any = asyncio.get_running_loop()
    timers = [timer for timer in getattr(loop, "_scheduled", ()) if not timer.cancelled()]
    selector = getattr(loop, "_selector", None)
    sockets = selector.get_map() if selector is not None else {}
    return {**{id(timer): timer for timer in timers}, **sockets}


@cache
def _loop_thread() -> LoopThread:
    """Return the event loop of all harnesses of this process: what is bound to it outlives a test."""
    return LoopThread("harness")
