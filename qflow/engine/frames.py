"""What a worker keeps of runs with open steps: suspended frames of async handlers, and what the steps of
sync ones are to execute. A cache and no more: everything in it can be learned again from Redis, by
entering the handler and leading it, on what is known, to where it asks for the step.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

from qflow.core.context import Run
from qflow.core.function import Function
from qflow.core.outcome import StepCall
from qflow.engine.advance import Entry, LoggerFor, prepare, run_sync
from qflow.engine.drive import Line
from qflow.engine.execute import Engine
from qflow.engine.group import AsyncLine
from qflow.engine.session import Notes, Session
from qflow.store.keys import Keys
from qflow.store.run import Claimed

_KEPT_FRAMES: Final = 256
_KEPT_CALLS: Final = 20_000
_PATIENCE_S: Final = 5.0
_LOOK_S: Final = 0.01
_LOCKS: Final = 16
_LOOKED_AT: Final = 32
_NO_CALLS: Final[tuple[dict[str, StepCall], Notes]] = {}, Notes()


Drive = Callable[[Entry, AsyncLine], Coroutine[Any, Any, None]]
Suspended = Callable[[AsyncLine, Session], None]


class Frames:
    """The frames and calls that a worker keeps, the latest used ones.

    `drive` runs a handler in a frame to its end, `suspended` is told when a frame lets go of its run:
    of frames that begin here too, since any of them may be the one that goes on.
    """

    def __init__(
        self, engine: Engine, logger_for: LoggerFor, drive: Drive, suspended: Suspended
    ) -> None:
        self._engine = engine
        self._drive = drive
        self._suspended = suspended
        self._logger_for = logger_for
        self._lines: OrderedDict[str, AsyncLine] = OrderedDict()
        self._calls: OrderedDict[str, tuple[dict[str, StepCall], Notes]] = OrderedDict()
        self._kept_calls = 0
        self._looked = 0
        self._mutex = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._learning: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def entry(self, function: Function[Any], claimed: Claimed, keys: Keys) -> Entry:
        """Return the entry of a claimed job, read from Redis where it did not come with the claim."""
        return prepare(self._engine, function, claimed, self._logger_for, keys)

    def context(self, function: Function[Any], claimed: Claimed) -> Run:
        """Return the run of an open step as middleware sees it."""
        attempt = int(claimed.fields.get("attempt", "0"))
        logger = self._logger_for(claimed.run, function.id, attempt, lambda: False)
        return Run(claimed.run, function.id, attempt, logger)

    # -- sync handlers: calls

    def keep_calls(self, run: str, line: Line) -> None:
        """Keep what steps of a run are to execute, in place of what was known of it."""
        with self._mutex:
            before = self._calls.pop(run, None)
            self._kept_calls += len(line.calls) - (len(before[0]) if before else 0)
            self._calls[run] = line.calls, line.notes
            while self._kept_calls > _KEPT_CALLS and len(self._calls) > 1:
                _, oldest = self._calls.popitem(last=False)
                self._kept_calls -= len(oldest[0])

    def call(self, function: Function[Any], claimed: Claimed, keys: Keys) -> StepCall | None:
        """Return what an open step of a sync handler is to execute, None where it asks for no such step.

        One thread at a time learns it for the others.
        """
        step = claimed.lane.step
        with self._locks[hash(claimed.run) % _LOCKS]:
            known, _ = self._calls.get(claimed.run, _NO_CALLS)
            if step not in known:
                line = Line(self._engine, None)
                run_sync(self._engine, self.entry(function, claimed, keys), line)
                self.keep_calls(claimed.run, line)
                known = line.calls
            return known.get(step)

    # -- async handlers: frames

    def keep(self, run: str, line: AsyncLine) -> None:
        """Keep a suspended frame; the one longest unused gives way."""
        old = self._lines.pop(run, None)
        if old is not None and old is not line:
            old.drop()
        self._lines[run] = line
        if len(self._lines) > _KEPT_FRAMES:
            self._lines.popitem(last=False)[1].drop()

    def take(self, claimed: Claimed) -> AsyncLine | None:
        """Return the frame from which a claimed run can go on: nobody has driven its handler since."""
        line = self._lines.pop(claimed.run, None)
        if line is None:
            return None
        lane, planner = claimed.lane, line.planner
        since = planner.token and planner.token == lane.token - 1
        if since and not (lane.step or lane.deaths or planner.dead):
            return line
        line.drop()
        return None

    def some(self) -> list[str]:
        """Return the runs of some suspended frames, of others each time: whether they were cancelled,
        nobody but Redis knows."""
        runs = list(self._lines)
        at = self._looked = self._looked % len(runs) if runs else 0
        self._looked += _LOOKED_AT
        return runs[at : at + _LOOKED_AT]

    def interrupt(self, run: str) -> None:
        """Tell, from another thread, what is kept of a run that it was cancelled."""
        kept, line = self._calls.get(run), self._lines.get(run)
        if kept is not None:
            kept[1].cancelled = True
        if line is not None:
            line.interrupt()

    async def acall(
        self, function: Function[Any], claimed: Claimed, keys: Keys, held: AsyncLine | None
    ) -> StepCall | None:
        """Return what an open step of an async handler is to execute, None where it asks for no such
        step. `held` is the frame that drives its run in this worker now, if one does."""
        run, step = claimed.run, claimed.lane.step
        lock = self._learning.setdefault(run, asyncio.Lock())
        try:
            async with lock:
                for line in (held, self._lines.get(run)):
                    call = line.call_of(step) if line is not None else None
                    if call is not None:
                        return call
                return await self._learn(function, claimed, keys)
        finally:
            if not lock.locked():
                self._learning.pop(run, None)

    async def _learn(
        self, function: Function[Any], claimed: Claimed, keys: Keys
    ) -> StepCall | None:
        entry = await self._engine.aside(lambda: self.entry(function, claimed, keys))
        line = AsyncLine(self._engine, None, entry.frame, entry.known, self._suspended)
        main = asyncio.get_running_loop().create_task(self._drive(entry, line))
        self._tasks.add(main)
        main.add_done_callback(self._tasks.discard)
        loop, step = asyncio.get_running_loop(), claimed.lane.step
        ends = loop.time() + _PATIENCE_S
        while (call := line.call_of(step)) is None and not main.done() and loop.time() < ends:
            await asyncio.wait([main], timeout=_LOOK_S)
        if call is None:
            line.drop()
        else:
            line.planner.token = entry.known.suspended
            self.keep(claimed.run, line)
        return call
