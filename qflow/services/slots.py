"""Executes claimed runs: sync handlers on threads, async ones on one event loop, `count` in all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final

from qflow.core.function import Function
from qflow.core.outcome import Complete, Effect, Fail
from qflow.engine.advance import Entry, LoggerFor, doomed, prepare, run_async, run_sync
from qflow.engine.drive import AsyncLine, Engine, Line
from qflow.engine.session import LINGER_S, Session, Terms, first_line
from qflow.errors import QflowError, Suspend
from qflow.store.run import Claimed, Held
from qflow.store.run import claimed as read_claimed
from qflow.telemetry import emit

_UNKNOWN_DELAY_MS: Final = 1000
_UNKNOWN_LATER_MS: Final = 15_000
_UNKNOWN_PATIENCE: Final = 10
_UNKNOWN_KEPT: Final = 10_000


@dataclass(frozen=True)
class Active:
    """A run that this process holds."""

    session: Session
    line: Line | AsyncLine
    since: float


@dataclass(frozen=True)
class Plan:
    """What every run of this worker is executed with."""

    functions: dict[str, Function[Any]]
    hold: Callable[[Claimed], Held]
    terms: Terms
    logger_for: LoggerFor


class Slots:
    """Places in which runs execute; a place is taken from claim to letting go."""

    def __init__(
        self, engine: Engine, count: int, plan: Plan, loop: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        self._engine = engine
        self._plan = plan
        self._loop = loop
        self._free = count
        self.count = count
        self._changed = threading.Condition()
        self._inbox: SimpleQueue[Claimed] = SimpleQueue()
        self._threads = 0
        self._idle_threads = 0
        self.active: dict[str, Active] = {}
        self.placed: set[str] = set()  # claimed, but not begun: a busy event loop may take its time
        self.paused: set[str] = (
            set()
        )  # functions whose runs go back to the queue at their next step
        self.ended = [0, 0, 0.0]  # completed, failed, seconds worked, since the last beat
        self._tasks: set[asyncio.Task[None]] = set()
        self._unknown: dict[str, int] = {}

    @property
    def free(self) -> int:
        """Places that are free now."""
        return self._free

    def wait_free(self, timeout_s: float) -> int:
        """Wait until a place is free; return how many are (0 at the time-out)."""
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0, timeout_s)
            return self._free

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until no run executes; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._free == self.count, timeout_s)

    def execute(self, claimed: Claimed) -> None:
        """Take a place and execute a claimed job there."""
        with self._changed:
            self._free -= 1
        self._place(claimed)

    def flush(self) -> None:
        """Write what finished steps have left unwritten for too long."""
        late = time.monotonic() - LINGER_S
        for active in list(self.active.values()):
            since = active.session.waiting_since
            if not since or since > late:
                continue
            try:
                if isinstance(active.line, Line):
                    active.line.flush()
                else:
                    asyncio.run_coroutine_threadsafe(_quietly(active.line, active), self._loop())
            except (Suspend, QflowError) as error:
                _hear(error, active)

    def interrupt(self, run: str) -> None:
        """Stop executing a run that was cancelled, as far as Python can."""
        active = self.active.get(run)
        if active is not None:
            active.line.interrupt()

    def _place(self, claimed: Claimed) -> None:
        self.placed.add(claimed.run)
        function = self._plan.functions.get(claimed.fields.get("fn", ""))
        if function is not None and function.is_async:
            loop = self._loop()
            loop.call_soon_threadsafe(self._begin_task, claimed, function)
            return
        with self._changed:
            grow = self._idle_threads <= self._inbox.qsize() and self._threads < self.count
            self._threads += grow
        self._inbox.put(claimed)
        if grow:
            threading.Thread(target=self._work, name=f"slot {self._threads}", daemon=True).start()

    def _leave(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    # -- threads

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle_threads += 1
            claimed: Claimed | None = self._inbox.get()
            with self._changed:
                self._idle_threads -= 1
            while claimed is not None:
                function = self._plan.functions.get(claimed.fields.get("fn", ""))
                if function is not None and function.is_async:
                    self._place(claimed)
                    break
                claimed = self._one(claimed, function)
            else:
                self._leave()

    def _one(self, claimed: Claimed, function: Function[Any] | None) -> Claimed | None:
        session = self._session(claimed)
        line = Line(self._engine, session)
        effect: Effect | None = None
        try:
            self.active[claimed.run] = Active(session, line, time.monotonic())
            self.placed.discard(claimed.run)
            if function is None:
                emit("function.unknown", function=claimed.fields.get("fn", ""), run=claimed.run)
                delay_ms = self._unknown_delay_ms(claimed.run)
                line.send(session.plan_postpone(delay_ms, "no worker here knows its function"))
            elif (doom := doomed(claimed)) is not None:
                line.write(effect := doom)
            else:
                effect = run_sync(self._engine, self._entry(function, claimed, session), line)
        except Suspend:
            pass
        except Exception as error:  # noqa: BLE001  # the beat gives the run back; the slot must go on
            emit("loop.failed", loop="slot", error=f"run {claimed.run}: {error!r}")
        return self._after(claimed, session, effect)

    def _unknown_delay_ms(self, run: str) -> int:
        """Return how long a run waits whose function is not here: longer once it came back often.

        Whoever knows the function is to find it soon; where nobody does, it must not spin.
        """
        if len(self._unknown) > _UNKNOWN_KEPT:
            self._unknown.clear()
        self._unknown[run] = seen = self._unknown.get(run, 0) + 1
        return _UNKNOWN_DELAY_MS if seen <= _UNKNOWN_PATIENCE else _UNKNOWN_LATER_MS

    # -- event loop

    def _begin_task(self, claimed: Claimed, function: Function[Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._one_async(claimed, function))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one_async(self, claimed: Claimed, function: Function[Any]) -> None:
        session = self._session(claimed)
        line = AsyncLine(self._engine, session)
        effect: Effect | None = None
        try:
            self.active[claimed.run] = Active(session, line, time.monotonic())
            self.placed.discard(claimed.run)
            if (doom := doomed(claimed)) is not None:
                await line.write(effect := doom)
            else:
                effect = await run_async(
                    self._engine, self._entry(function, claimed, session), line
                )
        except (
            Suspend,
            asyncio.CancelledError,
        ):  # the latter where its run was cancelled at its end
            pass
        except Exception as error:  # noqa: BLE001  # the beat gives the run back; the loop must go on
            emit("loop.failed", loop="slot", error=f"run {claimed.run}: {error!r}")
        following = self._after(claimed, session, effect)
        if following is not None:
            self._place(following)
        else:
            self._leave()

    # -- both

    def _session(self, claimed: Claimed) -> Session:
        held, terms = self._plan.hold(claimed), self._plan.terms

        def yields(since: float) -> bool:
            return terms.yields(since) or held.function in self.paused

        return Session(held, claimed.lane, terms._replace(yields=yields))

    def _entry(self, function: Function[Any], claimed: Claimed, session: Session) -> Entry:
        return prepare(self._engine, function, claimed, session, self._plan.logger_for)

    def _tell_end(self, claimed: Claimed, session: Session, effect: Complete | Fail) -> None:
        completed = isinstance(effect, Complete)
        self.ended[0 if completed else 1] += 1
        now = self._engine.clock.now_ms()
        emit(
            "run.ended",
            function=session.held.function,
            run=claimed.run,
            status="completed" if completed else "failed",
            seconds=max(0, now - int(claimed.fields.get("started", now))) / 1000,
            error="" if isinstance(effect, Complete) else first_line(effect.error),
        )

    def _after(self, claimed: Claimed, session: Session, effect: Effect | None) -> Claimed | None:
        """Let go of a run; return the job that was claimed in the same round trip, if any."""
        active = self.active.get(claimed.run)
        if active is not None and active.session is session:  # not a later claim of the same run
            del self.active[claimed.run]
            self.ended[2] += time.monotonic() - active.since
        if session.closed and isinstance(effect, (Complete, Fail)):
            self._tell_end(claimed, session, effect)
        following = session.followed
        if isinstance(following, list) and following:
            return received(self._engine, read_claimed(following[0]))
        return None


async def _quietly(line: AsyncLine, active: Active) -> None:
    try:
        await line.flush()
    except (Suspend, QflowError) as error:
        _hear(error, active)


def _hear(error: BaseException, active: Active) -> None:
    """Take what a flush met: that the run was cancelled is the handler's to know, at once."""
    if active.session.cancelled:
        active.line.interrupt()
    else:
        emit("loop.failed", loop="flush", error=str(error))


def received(engine: Engine, claimed: Claimed) -> Claimed:
    """Tell telemetry of a claimed job."""
    fields = claimed.fields
    now = engine.clock.now_ms()
    first = claimed.lane.token == 1
    emit(
        "run.claimed",
        function=fields.get("fn", ""),
        run=claimed.run,
        queue_wait_s=max(0, now - int(fields.get("queued", now))) / 1000,
        event_to_start_s=max(0, now - int(fields.get("created", now))) / 1000 if first else None,
    )
    return claimed
