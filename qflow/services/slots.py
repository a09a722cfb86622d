"""Executes claimed runs: sync handlers on threads, async ones on one event loop, `count` in all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

from qflow.core.function import Function
from qflow.core.outcome import Complete, Effect, Fail
from qflow.engine.advance import doomed, run_sync
from qflow.engine.branch import Branch
from qflow.engine.drive import Line
from qflow.engine.execute import Engine
from qflow.engine.group import AsyncLine
from qflow.engine.session import LINGER_S, Session, first_line
from qflow.errors import QflowError, Suspend
from qflow.services.places import Active, Plan
from qflow.services.tasks import Tasks
from qflow.store.run import Claimed
from qflow.store.run import claimed as read_claimed
from qflow.telemetry import emit

_UNKNOWN_FIRST_MS: Final = 100
_UNKNOWN_DELAY_MS: Final = 1000
_UNKNOWN_LATER_MS: Final = 15_000
_UNKNOWN_PATIENCE: Final = 14
_UNKNOWN_KEPT: Final = 10_000


class Unknown:
    """Runs whose function is not here: they come back, at first soon, later less often.

    Whoever knows the function is to find them soon; where nobody does, they must not spin.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def delay_ms(self, claimed: Claimed) -> int:
        """Return how long a claimed job of such a run is to wait."""
        emit("function.unknown", function=claimed.fields.get("fn", ""), run=claimed.run)
        if len(self._seen) > _UNKNOWN_KEPT:
            self._seen.clear()
        member = claimed.member
        self._seen[member] = seen = self._seen.get(member, 0) + 1
        if seen > _UNKNOWN_PATIENCE:
            return _UNKNOWN_LATER_MS
        return min(_UNKNOWN_DELAY_MS, _UNKNOWN_FIRST_MS << (seen - 1))


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
        self.ended = [0, 0, 0.0]  # completed, failed, seconds worked, since the last beat
        self._unknown = Unknown()
        self._tasks = Tasks(engine, plan, self)
        self._frames = self._tasks.frames
        self._branches = self._tasks.branches

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
                elif isinstance(active.line, AsyncLine):
                    asyncio.run_coroutine_threadsafe(_quietly(active.line, active), self._loop())
            except (Suspend, QflowError) as error:
                _hear(error, active)

    def suspended(self) -> list[str]:
        """Return some of the runs whose frames are kept without a place, others each time."""
        return self._frames.some()

    def interrupt(self, member: str) -> None:
        """Stop executing a run that was cancelled, or an open step of it, as far as Python can."""
        active = self.active.get(member)
        if active is not None:
            active.interrupt()
        self._frames.interrupt(member.partition(":")[0])

    def give_up(self, member: str) -> None:
        """Stop executing an open step whose result nobody wants, as far as Python can."""
        active = self.active.get(member)
        if active is not None:
            active.interrupt()

    def _place(self, claimed: Claimed) -> None:
        self.placed.add(claimed.member)
        function = self._plan.functions.get(claimed.fields.get("fn", ""))
        if function is not None and function.is_async:
            self._loop().call_soon_threadsafe(self._tasks.begin, claimed, function)
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
        line = Line(self._engine, session if isinstance(session, Session) else None)
        effect: Effect | None = None
        try:
            self.begin(Active(claimed, session, line, time.monotonic()))
            if isinstance(session, Branch):
                delay_ms = self._unknown.delay_ms(claimed) if function is None else 0
                self._branches.run(claimed, function, session, delay_ms)
            elif function is None:
                delay_ms = self._unknown.delay_ms(claimed)
                line.send(session.plan_postpone(delay_ms, "no worker here knows its function"))
            elif (doom := doomed(claimed)) is not None:
                line.write(effect := doom)
            else:
                effect = run_sync(
                    self._engine, self._frames.entry(function, claimed, session.held.keys), line
                )
        except Suspend:
            pass
        except Exception as error:  # noqa: BLE001  # the beat gives the run back; the slot must go on
            emit("loop.failed", loop="slot", error=f"run {claimed.run}: {error!r}")
        if line.calls:
            self._frames.keep_calls(claimed.run, line)
        return self.after(claimed, session, effect)

    def take_next(self, following: Claimed | None) -> None:
        """Give a place that has become free to the job that was claimed with its end, if any."""
        if following is not None:
            self._place(following)
        else:
            self._leave()

    # -- both

    def begin(self, active: Active) -> None:
        """Note that a claimed job is executing."""
        member = active.claimed.member
        self.active[member] = active
        self.placed.discard(member)

    def _session(self, claimed: Claimed) -> Session | Branch:
        if claimed.is_open:
            return self._branches.session(claimed)
        return Session(self._plan.hold(claimed), claimed.lane, self._plan.terms)

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

    def after(
        self, claimed: Claimed, session: Session | Branch, effect: Effect | None
    ) -> Claimed | None:
        """Let go of a run; return the job that was claimed in the same round trip, if any."""
        self.placed.discard(claimed.member)
        active = self.active.get(claimed.member)
        if active is not None and active.session is session:  # not a later claim of the same run
            del self.active[claimed.member]
            self.ended[2] += time.monotonic() - active.since
        if isinstance(session, Session) and session.closed and isinstance(effect, (Complete, Fail)):
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
        active.interrupt()
    else:
        emit("loop.failed", loop="flush", error=str(error))


def received(engine: Engine, claimed: Claimed) -> Claimed:
    """Tell telemetry of a claimed run."""
    if claimed.is_open:
        return claimed
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
