"""A worker's hold on one run: collects what the handler asks for and writes it, together.

A finished step is not written at once but with whatever the handler asks for next, so that a step
costs one round trip. No step is executed before the one ahead of it is committed. What RQ shows of a
step, its job, is written when it ends, unless it takes longer than a few milliseconds: `flush`,
called by a thread of the worker, then opens the job. It also writes a finished step whose handler
takes its time before the next.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import hiredis

from qflow import crashpoints
from qflow.core.outcome import Again, Done, Effect, Fail, Open, Send, Store
from qflow.engine.apply import Applied, Retention, apply, caught_up, give_back, postpone, written
from qflow.errors import Fenced, Suspend
from qflow.store.open import Opening, Suspension, fork
from qflow.store.run import CANCELLED, NO_TIMEOUT, NOTHING, YIELDED, Held, Lane, Standing, mark
from qflow.store.script import Call
from qflow.telemetry import detailed, emit

LINGER_S: Final = 0.01
"""How long a finished step may stay unwritten while the handler decides what comes next."""


class Terms(NamedTuple):
    """What a session is told by its worker."""

    keep: Retention
    yields: Callable[[float, str], bool]
    draining: Callable[[], bool]
    follow: Callable[[], Call | None]


class Notes:
    """What passes between a handler and whoever holds its run, for as long as it is in memory.

    `marks` are the patches at which it took the new path, to be written ahead of what it commits next;
    `cancelled` tells it that its run was.
    """

    __slots__ = ("cancelled", "marks")

    def __init__(self) -> None:
        self.marks: deque[str] = deque()
        self.cancelled = False


class Session:
    """The lane of one claimed run in this worker.

    Not safe by itself: whoever plans holds the run's lock until the replies are settled; only the
    handler's own driver calls `keep`.
    """

    __slots__ = (
        "_before", "_done", "_following", "_forking", "_lane", "_standing", "_terms", "closed",
        "failed_job", "fenced", "followed", "heard", "held", "lost", "notes", "started", "stepped",
        "waiting_since",
    )  # fmt: skip

    def __init__(self, held: Held, lane: Lane, terms: Terms) -> None:
        self.held = held
        self._lane = lane
        self._standing = Standing(lane.record)
        self._terms = terms
        self._done: Done | None = None
        self._before: tuple[Done | None, Lane] = None, lane
        self.heard: list[bytes] = []
        self._following = False
        self._forking = False
        self.notes = Notes()
        self.started = time.monotonic()
        self.waiting_since = 0.0
        self.closed = False
        self.fenced = False
        self.lost = False
        self.stepped = False
        self.failed_job: tuple[int, str] | None = None
        self.followed: Any = None

    @property
    def lane(self) -> Lane:
        """The lane as it is once everything outstanding is written."""
        return self._lane

    @property
    def job(self) -> str:
        """The id of the current job."""
        return self.held.job(self._lane)

    def plan(self, effect: Effect) -> list[Call]:
        """Take an outcome; return the calls to write now, none where it can wait for company.

        Raises Suspend where this worker no longer holds the run.
        """
        if self.closed:
            raise Fenced if self.fenced else Suspend
        self._forking = False
        if isinstance(effect, Open):
            if self._terms.draining() or self._terms.yields(self.started, self.held.function):
                return self._give_back(effect)
            if self._done is None:
                return self._enter(effect)
            calls = self._write(self._applied(effect))
            self._standing.timeout_s = -(-effect.timeout_ms // 1000) or NO_TIMEOUT
            return calls
        if isinstance(effect, Store):
            self.keep(effect.done)
            return []
        if isinstance(effect, Send):
            self.stepped = True
            tell_step(self.held, effect.done)
        elif isinstance(effect, (Again, Fail)):
            self.failed_job = self._lane.token, effect.error
            if isinstance(effect, Again) and effect.step:
                took_ms = effect.ended_ms - effect.started_ms
                tried, error = effect.attempt - 1, first_line(effect.error)
                tell_attempt(self.held, effect.step, tried, "retry", took_ms, error)
        calls = self._write(self._applied(effect))
        if isinstance(effect, Send):
            self._standing.opened = True  # send.lua opens the job that goes on
        return calls

    def keep(self, done: Done) -> None:
        """Take a finished step, to be written with what follows.

        Needs no lock: whoever flushes at this moment sees it or leaves it to the next flush.
        """
        self._standing.began_ms = done.started_ms
        self._done = done
        self.stepped = True
        self.waiting_since = time.monotonic()
        if not done.ok or detailed():
            tell_step(self.held, done)

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled."""
        return self.notes.cancelled

    def _marked(self, calls: list[Call]) -> list[Call]:
        marks = self.notes.marks
        while marks:
            calls.insert(0, mark(self.held, self._lane.worker, marks.popleft()))
        return calls

    def _enter(self, effect: Open) -> list[Call]:
        """Go on to a step where nothing waits to be kept: Redis hears of it with the step's own
        commit, or when it takes long."""
        standing, lane = self._standing, self._lane
        if standing.opened:
            standing.entered = self.held.job(lane)
        standing.opened = False
        standing.timeout_s = -(-effect.timeout_ms // 1000) or NO_TIMEOUT
        self._lane = lane.next("s", effect.step, effect.attempt, effect.deaths)
        self.waiting_since = time.monotonic()
        return self._open() if effect.deaths else []

    def _open(self) -> list[Call]:
        calls = self._marked(caught_up(self.held, self._lane, self._standing))
        self._stand(opened=True)
        return calls

    def _applied(self, effect: Effect) -> Applied:
        return apply(effect, self.held, self._lane, self._standing, self._done, self._terms.keep)

    def _give_back(self, effect: Open) -> list[Call]:
        front = self._terms.draining()
        return self._write(
            give_back(self.held, self._lane, self._standing, self._done, effect, front=front)
        )

    def settle(self, replies: Sequence[Any]) -> None:
        """Take the replies to what `plan` returned.

        Raises Suspend where the run was let go of, Fenced where its lease had been lost.
        """
        own = replies[:-1] if self._following else replies
        self.heard = []
        last = own[-1]
        if self._forking and isinstance(last, list):  # it has something to look at first
            self.heard = last
            self.closed = False
            self._done, self._lane = self._before
            self._stand(opened=True)
            return
        last = last[0] if isinstance(last, list) else last
        if last == CANCELLED:
            self.cancel()
        if last == YIELDED:
            self.closed = True
        if isinstance(last, int):
            own = ()  # the last call was applied, so those before it were: at first, or when repeated
        for item in own:
            reply = item[0] if isinstance(item, list) else item
            if isinstance(reply, hiredis.ReplyError):
                raise self.lose(f"Redis refused its commit: {reply}")
            if isinstance(reply, bytes):
                self.closed = self.fenced = True
                lane = self._lane
                emit(
                    "commit.fenced",
                    function=self.held.function,
                    run=self.held.run,
                    step=lane.step,
                    attempt=lane.attempt,
                )
                break
        if self._following:
            self._following = False
            self.followed = replies[-1]
        if self.fenced:
            raise Fenced
        if self.closed:
            raise Suspend

    def cancel(self) -> None:
        """Take note that the run was cancelled: nothing of it is written any more."""
        self.closed = self.fenced = self.notes.cancelled = True

    def lose(self, problem: str) -> Suspend:
        """Give up a run whose commit cannot be made; return what unwinds its handler.

        Whether it was made is unknown, and the handler must not take it for a failed step: the run
        stays in this worker's name until a beat finds it unattended and gives it back.
        """
        self.closed = self.lost = True
        emit("loop.failed", loop="commit", error=f"run {self.held.run}: {problem}")
        return Suspend()

    @property
    def holds_result(self) -> bool:
        """Whether a flush would commit a result; else it opens the job of a slow step."""
        return self._done is not None

    def plan_flush(self) -> list[Call]:
        """Return what is outstanding, for the flushing thread to write."""
        if self.closed or not self.waiting_since:
            return []
        self.waiting_since = 0.0
        self._forking = False
        done = self._done
        if done is None:
            return self._open()
        calls = self._write(self._applied(Open("", self.held.attempt, 0, 0)))
        self._standing.began_ms = done.ended_ms
        return calls

    def plan_postpone(self, delay_ms: int, why: str) -> list[Call]:
        """Return what puts the claimed job back untouched for `delay_ms`."""
        return self._write(postpone(self.held, self._lane, delay_ms, why))

    def plan_fork(
        self, state: Suspension, openings: Sequence[Opening], *, suspend: bool
    ) -> list[Call]:
        """Return what opens steps; with `suspend` the run is let go of until one is settled."""
        if self.closed:
            raise Fenced if self.fenced else Suspend
        lane = self._lane
        self._before = self._done, lane
        self._forking = True
        self.held = replace(self.held, plain=False)
        if not suspend:
            call = fork(self.held, (lane, lane), NOTHING, state, openings, self._terms.keep.ended_s)
            return [*self._open(), call]
        after = lane.next("w", "")
        calls = caught_up(self.held, lane, self._standing)
        kept = written(self._done)
        calls.append(
            fork(self.held, (lane, after), kept, state, openings, self._terms.keep.ended_s)
        )
        looks_back = any("mark" in opening.spec for opening in openings)
        return self._write(Applied(calls, after, True), follow=not looks_back)

    def _write(self, applied: Applied, *, follow: bool = True) -> list[Call]:
        crashpoints.reach("commit.before")
        calls = self._marked(applied.calls) if self.notes.marks else applied.calls
        self._done = None
        self._lane = applied.lane
        self._stand(opened=False, record=applied.record)
        if applied.released:
            self.closed = True
            self.waiting_since = 0.0
            following = self._terms.follow() if follow else None
            if following is not None:
                self._following = True
                calls.append(following)
        else:
            self.waiting_since = time.monotonic()
        return calls

    def _stand(self, *, opened: bool, record: str = "") -> None:
        """Take note of what is being written: Redis is where this worker is."""
        standing = self._standing
        standing.record = record or self._lane.record
        standing.entered = ""
        standing.opened = opened
        standing.timeout_s = NO_TIMEOUT


def tell_step(held: Held, done: Done) -> None:
    """Tell telemetry of a step that has ended."""
    took_ms = done.ended_ms - done.started_ms
    error = "" if done.ok else first_line(done.text)
    tell_attempt(held, done.step, done.attempt, "ok" if done.ok else "failed", took_ms, error)


def tell_attempt(
    held: Held, step: str, attempt: int, outcome: str, took_ms: int, error: str
) -> None:
    """Tell telemetry of one try of a step."""
    emit(
        "step.ended",
        function=held.function,
        run=held.run,
        step=step,
        attempt=attempt,
        outcome=outcome,
        seconds=took_ms / 1000,
        error=error,
    )


def first_line(text: str) -> str:
    """Return name and message of an error as the steps hash or a lane keeps it."""
    found = json.loads(text)
    error = found.get("error", found)
    return f"{error['name']}: {error['message']}"
