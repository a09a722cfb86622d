"""Plans the steps that an async handler asks for side by side.

They are collected until the loop has been quiet for a few turns, and opened together: they become jobs,
timers and waiters beside the main lane, and the run is let go of. The handler's frame stays in memory,
suspended at its awaits, and goes on from there if this worker is the one that takes the run again and
nobody has driven the handler in between; anywhere else the handler is entered anew. Settled steps are told
one at a time, in the order in which they were settled, here as on every later entry: so a race has the
same winner on each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from qflow import crashpoints
from qflow.core.outcome import Plan, Settled
from qflow.core.replay import Frame
from qflow.engine.drive import Known
from qflow.engine.execute import Engine
from qflow.engine.opening import INLINE, dropping, examine, opening, prepare
from qflow.engine.session import Session
from qflow.errors import RedisError, Suspend
from qflow.store.open import Opening, Suspension, resume
from qflow.store.run import Held, Lane
from qflow.store.script import Call
from qflow.telemetry import emit

_QUIET_TURNS: Final = 3
"""Turns of the loop that a group takes from a result to what its handler asks for next."""


class Request:
    """A step that the handler awaits."""

    __slots__ = ("answer", "by_handler", "is_open", "plan")

    def __init__(
        self, plan: Plan, answer: asyncio.Future[Settled | None], by_handler: bool
    ) -> None:
        self.plan = plan
        self.answer = answer
        self.by_handler = by_handler
        self.is_open = False

    @property
    def fits_main_lane(self) -> bool:
        """Whether it can be carried out on the main lane, where nothing else is asked for."""
        kind = self.plan.kind
        return kind in INLINE or (kind == "sleep" and self.by_handler)


class Planner:
    """What one frame of an async handler has asked for. `session` is the hold on its run, None while it
    has none; `suspended` is told the session that it let go of, `give_up` ends the frame.

    Lives on the event loop. `inline` while a step is carried out on the main lane.
    """

    def __init__(
        self,
        engine: Engine,
        session: Session | None,
        frame: Frame,
        known: Known,
        suspended: Callable[[Session], None],
        give_up: Callable[[], None],
    ) -> None:
        self._engine = engine
        self.session = session
        self._frame = frame
        self._known = known
        if session is not None:
            session.notes = known.notes
        self._suspended = suspended
        self.give_up = give_up
        self._held: Held | None = None
        self.lock = asyncio.Lock()
        self.pending: dict[str, Request] = {}
        self._ready: dict[str, str] = {}
        self._drops: list[str] = []
        self._busy = self._ticking = self._ending = self._asked = False
        self._turns_left = 0
        self.inline = False
        self.errands: set[asyncio.Task[object]] = set()
        self.taken = asyncio.Event()
        self.token = 0
        self.dead = False

    async def ask(self, plan: Plan, *, by_handler: bool) -> Settled | None:
        """Return a step's result once it is settled, None where it is to be carried out here and now."""
        if self.dead or self._ending:
            raise Suspend
        answer = asyncio.get_running_loop().create_future()
        request = Request(plan, answer, by_handler)
        request.is_open = plan.step in self._ready or plan.step in self._known.open_steps
        self.pending[plan.step] = request
        self.stir()
        try:
            settled: Settled | None = await answer
        except asyncio.CancelledError:
            if self.pending.get(plan.step) is request:
                del self.pending[plan.step]
                if request.is_open:
                    self._drops.append(plan.step)
            self.stir()
            raise
        return settled

    def is_free(self, step: str) -> bool:
        """Tell whether a step can be carried out on the main lane now, and nothing else is asked for."""
        return (
            not self.pending
            and not self.inline
            and not self._busy
            and self.session is not None
            and step not in self._ready
            and step not in self._known.open_steps
        )

    def leave_main_lane(self) -> None:
        """Note that the step on the main lane has ended."""
        self.inline = False
        if self.pending or self._drops:
            self.stir()

    def tell(self, results: Sequence[tuple[str, str]]) -> None:
        """Take steps that were settled, in order."""
        self._ready.update(results)
        self._known.settled += len(results)
        if self.pending:
            self.stir()

    def take(self, session: Session) -> None:
        """Go on with the run held by `session`."""
        self.session = session
        session.notes = self._known.notes
        self.token = 0
        self._asked = False
        self.taken.set()
        self.taken.clear()
        if self.pending or self._drops:
            self.stir()

    def end(self) -> None:
        """Plan no more: the handler has ended, and what it did not wait for is given up."""
        self._ending = True
        for request in list(self.pending.values()):
            request.answer.cancel()

    def drop(self) -> None:
        """End this frame: its run goes on elsewhere, or has ended."""
        if self.dead:
            return
        self.dead = True
        self.taken.set()
        for request in list(self.pending.values()):
            request.answer.cancel()

    def stir(self) -> None:
        """Look at what is asked for once the loop has been quiet for some turns."""
        self._turns_left = _QUIET_TURNS
        if not self._ticking and not self.dead:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        if self._turns_left > 0:
            self._turns_left -= 1
            asyncio.get_running_loop().call_soon(self._tick)
            return
        self._ticking = False
        if not (self.dead or self._busy or self._ending):
            self._look()

    def _look(self) -> None:
        for step in self._ready:
            if step in self.pending:
                request = self.pending.pop(step)
                text = self._ready.pop(step)
                if not request.answer.done():
                    request.answer.set_result(Settled(text))
                self.stir()
                return
        fresh = [request for request in self.pending.values() if not request.is_open]
        if self.session is None:
            if self.token and (fresh or self._drops):
                self.take_again()
        elif self.inline or not self.pending:
            if fresh or self._drops:
                self._run_errand(self._fork(self.session, fresh, suspend=False))
        elif len(self.pending) == 1 and fresh and not self._drops and fresh[0].fits_main_lane:
            del self.pending[fresh[0].plan.step]
            self.inline = True
            fresh[0].answer.set_result(None)
        else:
            self._run_errand(self._fork(self.session, fresh, suspend=True))

    def _run_errand(self, work: Coroutine[Any, Any, object]) -> None:
        self._busy = True
        task = asyncio.get_running_loop().create_task(work)
        self.errands.add(task)
        task.add_done_callback(self._errand_ended)

    def _errand_ended(self, task: asyncio.Task[object]) -> None:
        self.errands.discard(task)
        self._busy = False
        if not task.cancelled() and task.exception() is not None:
            error = f"run {self._frame.run_id}: {task.exception()!r}"
            emit("loop.failed", loop="group", error=error)
            if self.session is not None:  # the beat finds the run unattended, and gives it back
                self._let_go(self.session, 0)
            self.give_up()
        if self.pending or self._drops:
            self.stir()

    async def _fork(self, session: Session, fresh: Sequence[Request], *, suspend: bool) -> None:
        """Open what is asked for; with `suspend`, let go of the run and keep the frame."""
        known, drops = self._known, self._drops
        self._drops = []
        openings = [opening(self._frame, request.plan) for request in fresh]
        openings += [dropping(step) for step in drops]
        grouped = len(self.pending) > 1 or not suspend or known.fields.get("forked") == "1"
        state = Suspension(known.settled, grouped)
        events = await self._engine.aside(lambda: prepare(known.lookback, openings, known.fields))
        after = session.lane.next("w", "")
        try:
            while await self._open(session, state, openings, suspend=suspend):
                look = partial(examine, known.lookback, events, self._frame.run_id, known.fields)
                await self._engine.aside(partial(look, session.heard))
        except Suspend:
            if session.fenced or session.lost or not suspend:
                self._let_go(session, 0)
                self.give_up()
                return
        for request in fresh:
            request.is_open = True
            if request.answer.cancelled():  # while it was being opened
                self._drops.append(request.plan.step)
        if grouped:
            known.fields = {**known.fields, "forked": "1"}
        if suspend:
            self._let_go(session, after.token)

    async def _open(
        self, session: Session, state: Suspension, openings: Sequence[Opening], *, suspend: bool
    ) -> bool:
        """Open steps; return whether there is something to look at first."""
        async with self.lock:
            crashpoints.reach("fork.before")
            try:
                await self.send(session, session.plan_fork(state, openings, suspend=suspend))
            finally:
                crashpoints.reach("fork.after")
        return bool(session.heard)

    def _let_go(self, session: Session, token: int) -> None:
        if self.session is not None:
            self.session = None
            self.token = token
            self._held = session.held
            self._suspended(session)

    def take_again(self) -> None:
        """Have the run queued again: its frame here has something new to ask for."""
        if not self._asked and self._held is not None:
            self._asked = True
            held, lane = self._held, Lane("w", self.token, 0, 0, "", "")
            self._run_errand(
                self._engine.committer.asubmit([resume(held.keys, held.run, lane, held.ttl_s)])
            )

    async def send(self, session: Session, calls: list[Call], *, commits: bool = True) -> None:
        """Write `calls` and settle their replies; raises Suspend where the run is let go of."""
        if calls:
            try:
                replies = await self._engine.committer.asubmit(calls)
            except RedisError as error:
                raise session.lose(str(error)) from error
            if commits:
                crashpoints.reach("commit.after")
            else:
                crashpoints.reach("step.opened")
            session.settle(replies)
