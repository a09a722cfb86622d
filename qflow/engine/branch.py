"""Executes the job of an open step: its function comes from a frame of its run's handler.

The step was asked for by the handler in some worker. Here the handler is entered only where no frame
of it, and nothing learned from one, is at hand; it is led to where it asks for the step, and no further.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import hiredis

from qflow import crashpoints
from qflow.core.attempt import MAX_DEATHS, Target, attempt
from qflow.core.context import Run
from qflow.core.memo import Memo, error_text
from qflow.core.middleware import Hooks
from qflow.core.outcome import Again, Answer, Done, Effect, Effects, Execute, StepCall, Store
from qflow.engine.apply import exc_info, retry_note, written
from qflow.engine.execute import (
    Awaited,
    Engine,
    Surround,
    aexecute,
    aexecute_within,
    execute,
    execute_within,
    surround,
)
from qflow.engine.session import Terms, first_line, tell_attempt, tell_step
from qflow.errors import Fenced, RedisError, Suspend
from qflow.store.open import release, reopen, settle
from qflow.store.run import CANCELLED, Claimed, Held
from qflow.store.script import Call
from qflow.telemetry import emit


class Branch:
    """This worker's hold on one open step, in the shape of a session for those who list what runs."""

    waiting_since = 0.0

    def __init__(self, held: Held, claimed: Claimed, terms: Terms) -> None:
        self.held = held
        self.lane = claimed.lane
        self._terms = terms
        self._following = False
        self.closed = False
        self.fenced = False
        self.cancelled = False
        self.awaited = Awaited()
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self.failed_job: tuple[int, str] | None = None
        self.followed: Any = None

    @property
    def job(self) -> str:
        """The id of its job."""
        return self.held.job(self.lane)

    def begin(self) -> None:
        """Take note that the running task executes it."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task.get_loop(), task

    def interrupt(self) -> None:
        """Stop it, from another thread, as far as Python can: its run was cancelled."""
        if not self.cancelled and not self.closed:
            self.cancelled = True
            self.awaited.cancel()
            if self._task is not None:
                loop, task = self._task
                loop.call_soon_threadsafe(task.cancel)

    def plan(self, effect: Effect) -> list[Call]:
        """Return the calls that keep what became of the step."""
        if self.cancelled:
            raise Fenced
        crashpoints.reach("commit.before")
        held, lane = self.held, self.lane
        if isinstance(effect, Store):
            done = effect.done
            tell_step(held, done)
            failure = "" if done.ok else exc_info(json.dumps(json.loads(done.text)["error"]))
            if failure:
                self.failed_job = lane.token, json.dumps(json.loads(done.text)["error"])
            return self._following_up(settle(held, lane, written(done), failure))
        assert isinstance(effect, Again)
        self.failed_job = lane.token, effect.error
        took_ms = effect.ended_ms - effect.started_ms
        error = first_line(effect.error)
        tell_attempt(held, effect.step, effect.attempt - 1, "retry", took_ms, error)
        after = lane.next("d", effect.step, effect.attempt, effect.deaths)
        failure, note = exc_info(effect.error), retry_note(effect)
        return self._following_up(reopen(held, (lane, after), failure, effect.delay_ms, note))

    def plan_release(self, delay_ms: int) -> list[Call]:
        """Return what puts the job back untouched for `delay_ms`."""
        lane = self.lane
        after = lane.next("d", lane.step, lane.attempt, lane.deaths)
        return self._following_up(release(self.held, (lane, after), delay_ms))

    def settle(self, replies: Sequence[Any]) -> None:
        """Take the replies; raises Fenced where the step had been taken away."""
        self.closed = True
        if isinstance(replies[0], hiredis.ReplyError):
            raise self.lose(f"Redis refused its commit: {replies[0]}")
        if self._following:
            self.followed = replies[-1]
        if replies[0] == CANCELLED:
            self.fenced = self.cancelled = True
            raise Fenced
        if replies[0] == b"":
            raise Suspend  # given up by its handler, or settled by whoever took it over
        if isinstance(replies[0], bytes):
            self.fenced = True
            held, lane = self.held, self.lane
            emit(
                "commit.fenced",
                function=held.function,
                run=held.run,
                step=lane.step,
                attempt=lane.attempt,
            )
            raise Fenced

    def lose(self, problem: str) -> Suspend:
        """Give up a step whose commit cannot be made; the beat finds it unattended."""
        self.closed = True
        emit("loop.failed", loop="commit", error=f"run {self.held.run}: {problem}")
        return Suspend()

    def _following_up(self, call: Call) -> list[Call]:
        follow = self._terms.follow()
        self._following = follow is not None
        return [call] if follow is None else [call, follow]


class BranchLine:
    """Carries out one try of an open step, on a thread or on the event loop."""

    def __init__(self, engine: Engine, session: Branch) -> None:
        self._engine = engine
        self._session = session
        self._hooks: Hooks | None = None
        self._around: Surround | None = None

    def begin(self, hooks: Hooks | None, run: Run) -> None:
        """Take the middleware that surrounds the step."""
        self._hooks, self._around = hooks, surround(hooks, run)

    def run(self, call: StepCall) -> None:
        """Execute the step on this thread, and keep what became of it."""
        session = self._session
        effects, answer = self._effects(call), None
        while True:
            effect = _next(effects, answer)
            if not isinstance(effect, Execute):
                self.write(session.plan(effect))
                return
            around = self._around
            if around is None:
                answer = execute(self._engine, effect, session.awaited)
            else:
                answer = execute_within(around(effect), self._engine, effect, session.awaited)

    async def arun(self, call: StepCall) -> None:
        """Execute the step on the event loop, and keep what became of it."""
        self._session.begin()
        effects, answer = self._effects(call), None
        while True:
            effect = _next(effects, answer)
            if not isinstance(effect, Execute):
                await self.awrite(self._session.plan(effect))
                return
            around = self._around
            if around is None:
                answer = await aexecute(self._engine, effect)
            else:
                answer = await aexecute_within(around(effect), self._engine, effect)

    def write(self, calls: list[Call]) -> None:
        """Write `calls` and settle their replies."""
        try:
            replies = self._engine.committer.submit(calls)
        except RedisError as error:
            raise self._session.lose(str(error)) from error
        crashpoints.reach("commit.after")
        self._session.settle(replies)

    async def awrite(self, calls: list[Call]) -> None:
        """Do as `write`, without blocking the event loop."""
        try:
            replies = await self._engine.committer.asubmit(calls)
        except RedisError as error:
            raise self._session.lose(str(error)) from error
        crashpoints.reach("commit.after")
        self._session.settle(replies)

    def _effects(self, call: StepCall) -> Effects:
        lane = self._session.lane
        target = Target(lane.step, lane.attempt, lane.deaths)
        now_ms = self._engine.clock.now_ms
        return attempt(self._session.held.run, call, target, Memo({}), now_ms, self._hooks)


def ruled_out(claimed: Claimed, now_ms: int) -> Effect | None:
    """Return how a step ends that has killed its workers too often to be tried again, else None."""
    lane = claimed.lane
    if lane.deaths < MAX_DEATHS:
        return None
    return next(
        attempt(claimed.run, _NO_CALL, Target(*lane[5:], *lane[2:4]), Memo({}), lambda: now_ms)
    )


def vanished(claimed: Claimed, now_ms: int) -> Effect:
    """Return how a step ends that its handler does not ask for."""
    step = claimed.lane.step
    error = {
        "name": "StepVanished",
        "message": f"step {step!r} was asked for when its run was planned, but the handler does not "
        "ask for it when it is entered again: has the code changed, or does it depend on time or "
        "chance outside its steps?",
        "traceback": "",
    }
    return Store(Done(step, error_text(error), claimed.lane.attempt, now_ms, now_ms, False))


def _next(effects: Effects, answer: Answer) -> Effect:
    return effects.send(answer)


_NO_CALL = StepCall("", print, (), {}, 0, 0, None)
