"""Executes jobs of open steps in a worker's places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qflow.core.function import Function
from qflow.engine.branch import Branch, BranchLine, ruled_out, vanished
from qflow.engine.execute import Engine
from qflow.engine.frames import Frames
from qflow.engine.group import AsyncLine
from qflow.engine.session import Terms
from qflow.store.run import Claimed, Held
from qflow.telemetry import emit


class Branches:
    """Each method executes one try of an open step; raises Suspend where its commit did not count."""

    def __init__(
        self, engine: Engine, frames: Frames, hold: Callable[[Claimed], Held], terms: Terms
    ) -> None:
        self._engine = engine
        self._frames = frames
        self._hold = hold
        self._terms = terms

    def session(self, claimed: Claimed) -> Branch:
        """Return the hold on a claimed open step."""
        return Branch(self._hold(claimed), claimed, self._terms)

    def line(self, session: Branch) -> BranchLine:
        """Return what carries its try out."""
        return BranchLine(self._engine, session)

    def run(
        self, claimed: Claimed, function: Function[Any] | None, session: Branch, delay_ms: int = 0
    ) -> None:
        """Execute on this thread; put the job back for `delay_ms` where its function is not here."""
        if function is None:
            self.release(session, delay_ms)
            return
        line, now_ms = self.line(session), self._engine.clock.now_ms()
        if (over := ruled_out(claimed, now_ms)) is not None:
            line.write(session.plan(over))
            return
        call = self._frames.call(function, claimed, session.held.keys)
        if call is None:
            self._tell_vanished(claimed, session)
            line.write(session.plan(vanished(claimed, now_ms)))
        else:
            line.begin(function.hooks, self._frames.context(function, claimed))
            line.run(call)

    async def arun(
        self, claimed: Claimed, function: Function[Any], session: Branch, frame: object
    ) -> None:
        """Execute on the event loop; `frame` drives the run here now, if it is one of this handler's."""
        line, now_ms = self.line(session), self._engine.clock.now_ms()
        if (over := ruled_out(claimed, now_ms)) is not None:
            await line.awrite(session.plan(over))
            return
        held = frame if isinstance(frame, AsyncLine) else None
        call = await self._frames.acall(function, claimed, session.held.keys, held)
        if call is None:
            self._tell_vanished(claimed, session)
            await line.awrite(session.plan(vanished(claimed, now_ms)))
        else:
            line.begin(function.hooks, self._frames.context(function, claimed))
            await line.arun(call)

    def release(self, session: Branch, delay_ms: int) -> None:
        """Put the job of a step back whose function is not here."""
        self.line(session).write(session.plan_release(delay_ms))

    def _tell_vanished(self, claimed: Claimed, session: Branch) -> None:
        emit(
            "step.vanished",
            function=session.held.function,
            run=claimed.run,
            step=claimed.lane.step,
        )
