"""Executes claimed jobs of async handlers on the event loop, and goes on with suspended frames."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, Protocol

from qflow.core.function import Function
from qflow.core.outcome import Effect
from qflow.engine.advance import Entry, doomed, run_async
from qflow.engine.branch import Branch
from qflow.engine.execute import Engine
from qflow.engine.frames import Frames
from qflow.engine.group import AsyncLine
from qflow.engine.session import Session
from qflow.errors import Suspend
from qflow.services.branches import Branches
from qflow.services.places import Active, Plan
from qflow.store.open import news
from qflow.store.run import Claimed
from qflow.telemetry import emit


class Places(Protocol):
    """The places that jobs execute in."""

    active: dict[str, Active]

    def begin(self, active: Active) -> None:
        """Note that a claimed job is executing."""
        ...

    def after(
        self, claimed: Claimed, session: Session | Branch, effect: Effect | None
    ) -> Claimed | None:
        """Let go of a job; return the one that was claimed in the same round trip, if any."""
        ...

    def take_next(self, following: Claimed | None) -> None:
        """Give the place that has become free to another job, or leave it."""
        ...


class Tasks:
    """The tasks of one worker. A place is held from claim to letting go, which may be earlier than the end
    of the task: a suspended frame waits in its task without a place."""

    def __init__(self, engine: Engine, plan: Plan, places: Places) -> None:
        self._engine = engine
        self._plan = plan
        self._places = places
        self._tasks: set[asyncio.Task[None]] = set()
        self.frames = Frames(engine, plan.logger_for, self._drive, self._suspended)
        self.branches = Branches(engine, self.frames, plan.hold, plan.terms)

    def begin(self, claimed: Claimed, function: Function[Any]) -> None:
        """Execute a claimed job."""
        if claimed.is_open:
            work = self._one_branch(claimed, function)
        elif (line := self.frames.take(claimed)) is not None:
            work = self._go_on(claimed, line)
        else:
            work = self._one(claimed, function)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, claimed: Claimed, function: Function[Any]) -> None:
        session = Session(self._plan.hold(claimed), claimed.lane, self._plan.terms)
        effect: Effect | None = None
        try:
            if (doom := doomed(claimed)) is None:
                read = partial(self.frames.entry, function, claimed, session.held.keys)
                forked = claimed.fields.get("forked") == "1"
                entry = await self._engine.aside(read) if forked else read()
                line = AsyncLine(self._engine, session, entry.frame, entry.known, self._suspended)
                self._places.begin(Active(claimed, session, line, time.monotonic()))
                await self._drive(entry, line)
                return
            effect = doom
            session.settle(await self._engine.committer.asubmit(session.plan(doom)))
        except Suspend:
            pass
        except Exception as error:  # noqa: BLE001  # the beat gives the run back; the loop must go on
            _tell(claimed.run, error)
        self._places.take_next(self._places.after(claimed, session, effect))

    async def _drive(self, entry: Entry, line: AsyncLine) -> None:
        """Run a handler in its frame, however often that is suspended, to its end."""
        effect: Effect | None = None
        try:
            effect = await run_async(self._engine, entry, line)
        except (Suspend, asyncio.CancelledError):  # the latter where it was interrupted at its end
            pass
        except Exception as error:  # noqa: BLE001  # the beat gives the run back; the loop must go on
            _tell(entry.run_id, error)
        session = line.close()
        if session is not None:  # else it let go of its run before, and of its place
            claimed = self._places.active[entry.run_id].claimed
            self._places.take_next(self._places.after(claimed, session, effect))

    async def _go_on(self, claimed: Claimed, line: AsyncLine) -> None:
        """Hand a claimed run to its suspended frame, in the task that entered the handler."""
        session = Session(self._plan.hold(claimed), claimed.lane, self._plan.terms)
        try:
            self._places.begin(Active(claimed, session, line, time.monotonic()))
            redis, keys = self._engine.redis, session.held.keys
            read = partial(news, redis, keys, claimed.run, line.settled)
            line.planner.tell(await self._engine.aside(read))
            line.planner.take(session)
        except Exception as error:  # noqa: BLE001  # the beat gives the run back; the loop must go on
            _tell(claimed.run, error)
            line.drop()
            self._places.take_next(self._places.after(claimed, session, None))

    def _suspended(self, line: AsyncLine, session: Session) -> None:
        """Keep a frame that has let go of its run, and give its place to another."""
        run = session.held.run
        claimed = self._places.active[run].claimed
        if line.planner.token:
            self.frames.keep(run, line)
        self._places.take_next(self._places.after(claimed, session, None))

    async def _one_branch(self, claimed: Claimed, function: Function[Any]) -> None:
        session = self.branches.session(claimed)
        try:
            active = self._places.active.get(claimed.run)
            frame = active.line if active is not None else None
            self._places.begin(Active(claimed, session, None, time.monotonic()))
            await self.branches.arun(claimed, function, session, frame)
        except (Suspend, asyncio.CancelledError):  # the latter where its run was cancelled
            pass
        except Exception as error:  # noqa: BLE001  # the beat gives the step back; the loop must go on
            _tell(claimed.run, error)
        self._places.take_next(self._places.after(claimed, session, None))


def _tell(run: str, error: Exception) -> None:
    emit("loop.failed", loop="slot", error=f"run {run}: {error!r}")
