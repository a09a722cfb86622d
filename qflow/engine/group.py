"""Carries the effects of steps out on the event loop, for async handlers, side by side where asked.

A step that the handler's own task asks for while nothing else is outstanding is carried out at once, as a
part of the main lane; of all others `engine.planner` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from qflow.core.outcome import Answer, Effect, Effects, Execute, Plan, StepCall
from qflow.core.replay import Frame
from qflow.engine.drive import Known
from qflow.engine.execute import Engine, Surround, aexecute, aexecute_within
from qflow.engine.opening import INLINE
from qflow.engine.planner import Planner
from qflow.engine.session import Session
from qflow.errors import StepError, Suspend


class AsyncLine:
    """One frame of an async handler, entered in one task (`main`) and kept as long as it may go on."""

    def __init__(
        self,
        engine: Engine,
        session: Session | None,
        frame: Frame,
        known: Known,
        suspended: Callable[[AsyncLine, Session], None],
    ) -> None:
        self._engine = engine
        self._known = known
        self.planner = Planner(
            engine, session, frame, known, lambda session: suspended(self, session), self.drop
        )
        self.main: asyncio.Task[Any] | None = None
        self._loop = asyncio.get_running_loop()
        self.around: Surround | None = None

    @property
    def session(self) -> Session | None:
        """The hold on its run, None while it has none."""
        return self.planner.session

    @property
    def settled(self) -> int:
        """How many settled steps it has heard of."""
        return self._known.settled

    @property
    def unwound(self) -> bool:
        """Whether its handler was made to end here: nothing follows from how it does."""
        session = self.session
        if self.planner.dead or (session is not None and session.closed):
            return True
        return not self._loop.is_running()  # Python clears up the frames of a loop that is gone

    def begin(self, ready: Sequence[tuple[str, str]]) -> None:
        """Enter the handler in this task; `ready` are settled steps to be told of."""
        self.main = asyncio.current_task()
        self.planner.tell(ready)

    async def __call__(self, effects: Effects) -> Any:
        """Run a step's effects to its value."""
        planner = self.planner
        answer: Answer = None
        inline = False
        try:
            while True:
                try:
                    effect = effects.send(answer)
                except StopIteration as stop:
                    return stop.value
                if isinstance(effect, Execute):
                    around = self.around
                    if around is None:
                        answer = await aexecute(self._engine, effect)
                    else:
                        answer = await aexecute_within(around(effect), self._engine, effect)
                elif isinstance(effect, Plan):
                    by_handler = asyncio.current_task() is self.main
                    free = by_handler and effect.kind in INLINE and planner.is_free(effect.step)
                    answer = None if free else await planner.ask(effect, by_handler=by_handler)
                    inline = answer is None
                    planner.inline = planner.inline or inline
                else:
                    answer = None
                    await self.write(effect)
        finally:
            if inline:
                planner.leave_main_lane()

    async def many(self, effects: Sequence[Effects], limit: int) -> list[Any]:
        """Return the values of steps side by side, `limit` at once; raise the first StepError at the end."""
        room = asyncio.Semaphore(limit)

        async def one(each: Effects) -> Any:
            async with room:
                try:
                    return await self(each)
                except StepError as error:
                    return error

        tasks = [asyncio.ensure_future(one(each)) for each in effects]
        try:
            results = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()  # nothing where it is done
        for result in results:
            if isinstance(result, StepError):
                raise result
        return results

    async def write(self, effect: Effect) -> None:
        """Carry out an outcome, taking the run again first where it was let go of."""
        planner = self.planner
        while planner.errands:
            await asyncio.wait(planner.errands)
        while planner.session is None:
            if planner.dead or not planner.token:
                raise Suspend
            planner.take_again()
            await planner.taken.wait()
        async with planner.lock:
            await planner.send(planner.session, planner.session.plan(effect))

    async def flush(self) -> None:
        """Write what is outstanding."""
        planner = self.planner
        async with planner.lock:
            session = planner.session
            if session is not None:
                commits = session.holds_result
                await planner.send(session, session.plan_flush(), commits=commits)

    def call_of(self, step: str) -> StepCall | None:
        """Return what a step that the handler awaits is to execute, None where it asks for no such step."""
        request = self.planner.pending.get(step)
        return request.plan.call if request is not None else None

    def interrupt(self) -> None:
        """Cancel its handler, from another thread: its run was cancelled."""
        self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        session = self.session
        if session is None or session.cancelled or not session.closed:
            self._known.notes.cancelled = True
            if session is not None:
                session.cancel()
            self.drop()

    def close(self) -> Session | None:
        """End this frame; return the hold on its run that it still had."""
        held, self.planner.session = self.planner.session, None
        self.drop()
        return held

    def drop(self) -> None:
        """End this frame: its run goes on elsewhere, or has ended."""
        if not self.planner.dead:
            self.planner.drop()
            if self.main is not None and self.main is not asyncio.current_task():
                self.main.cancel()
