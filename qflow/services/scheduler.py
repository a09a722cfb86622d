"""The scheduler: due delayed jobs and cron ticks, by one leader among any number.

Does: it is rq-scheduler's `Scheduler` (its delayed jobs are listed by rq-scheduler's own `get_jobs`)
with batch moves, a fenced lead and a wait that ends when the next job is due. Runs that miss a deadline are
cancelled at that moment.
Options: the lease of the lead.
Emits: leader.gained, leader.lost, timers.moved, cron.fired, run.ended.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any, Final

from rq_scheduler import Scheduler as RQScheduler

from qflow import crashpoints
from qflow.core.cron import Cron, due_ticks, fire_ms, tick_event
from qflow.engine.admit import numbers_of
from qflow.engine.cancelling import tell_cancelled
from qflow.engine.starting import starting
from qflow.errors import QflowError
from qflow.services.service import Service
from qflow.store import directory, ending, gate, lease, timer
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import run
from qflow.store.stream import Keep
from qflow.telemetry import emit

_BATCH: Final = 200
_LONGEST_WAIT_S: Final = 1.0
_GRACE_MS: Final = 60_000


class Scheduler(Service, RQScheduler):  # type: ignore[misc]  # rq-scheduler has no type hints
    """Leads or stands by; the leader moves what is due and starts what a schedule asks for."""

    kind = "scheduler"

    def __init__(self, redis: Redis, keys: Keys, keep: Keep, lease_ms: int) -> None:
        Service.__init__(self)
        self.scheduled_jobs_key = keys.scheduled
        name = self.name
        RQScheduler.__init__(
            self, keys.queue_name, connection=redis.client(), interval=1, name=name
        )
        self._redis = redis
        self._keys = keys
        self._keep = keep
        self._lease_ms = min(lease_ms, 5000)
        self._token = 0
        self._ticks = 0
        self._version = ""
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._listener: threading.Thread | None = None
        self._crons: dict[str, tuple[Cron, dict[str, Any]]] = {}

    def tick(self) -> float:
        """Lead: move what is due, then wait for the next. Stand by: wait for the lead to fall free."""
        bid = lease.lead(self._redis, self._keys, self.name, self._lease_ms)
        if bid.token != self._token:
            if bid.token:
                emit("leader.gained", name=self.name, token=bid.token)
            else:
                emit("leader.lost", name=self.name)
            self._token = bid.token
        self._ticks += 1
        if self._ticks % 20 == 1:
            facts = {"pid": os.getpid(), "name": self.name}
            directory.announce(self._redis, self._keys, self.kind, self.name, facts, 60)
        if not bid.token:
            return min(bid.wait_ms / 1000 + 0.01, _LONGEST_WAIT_S)
        crashpoints.reach("scheduler.before_due")
        moved = timer.due(self._redis, self._keys, bid.token, _BATCH, self._keep)
        crashpoints.reach("scheduler.after_due")
        if moved.count > 0:
            emit("timers.moved", count=moved.count)
        overdue = ending.overdue(self._redis, self._keys, bid.token, _BATCH, self._keep)
        for function, late in overdue.cancelled:
            tell_cancelled(function, late, "a deadline")
        next_tick_ms = self._fire_crons(moved.now_ms)
        due = [ms for ms in (moved.next_ms, overdue.next_ms, next_tick_ms) if ms > 0]
        wait_s = (min(due) - moved.now_ms) / 1000 if due else _LONGEST_WAIT_S
        wait_s = min(wait_s, _LONGEST_WAIT_S, self._lease_ms / 3000)
        if wait_s > 0 and self._woken.wait(wait_s):
            self._woken.clear()
        return 0

    def _listen(self) -> None:
        """Wake the leader for a timer set earlier than the one it waits for.

        A thread of its own, since Redis ends blocking commands only ten times a second: a wait for
        the next due time has to be timed here.
        """
        while not self._stopped.is_set():
            try:
                if not self._token:
                    self._stopped.wait(_LONGEST_WAIT_S / 20)  # it may lead at any moment
                elif self._redis.block(
                    _LONGEST_WAIT_S, "BLPOP", self._keys.wake_timer, _LONGEST_WAIT_S
                ):
                    self._woken.set()
            except QflowError:  # the leader's own loop reports it
                self._stopped.wait(_LONGEST_WAIT_S)

    def start(self) -> None:
        """Begin to listen for earlier timers."""
        if self._listener is None:
            self._listener = threading.Thread(target=self._listen, name="timers", daemon=True)
            self._listener.start()

    def stop(self) -> None:
        """Let the next scheduler lead at once."""
        self._stopped.set()
        lease.lead(self._redis, self._keys, self.name, self._lease_ms, resign=True)

    def _fire_crons(self, now_ms: int) -> int:
        """Start what schedules ask for by now; return when the next tick is, -1 where there is none."""
        self._refresh()
        if not self._crons or now_ms == 0:
            return -1
        handled = timer.schedules(self._redis, self._keys)
        next_ms = []
        for member, (cron, spec) in self._crons.items():
            if member in handled:
                next_ms.append(self._fire(member, cron, spec, handled[member], now_ms))
        return min(next_ms, default=-1)

    def _fire(
        self, member: str, cron: Cron, spec: dict[str, Any], last_ms: int, now_ms: int
    ) -> int:
        """Handle one schedule's ticks since `last_ms`; return when it is to be looked at next."""
        seed = f"{spec['id']}|{cron.key}"
        ticks, following = _due(cron, last_ms, now_ms)
        for tick_ms in ticks:
            at_ms = fire_ms(cron, tick_ms, f"{seed}|{tick_ms}")
            if at_ms > now_ms:
                return at_ms
            self._start(member, cron, spec, (last_ms, tick_ms, at_ms))
            last_ms = tick_ms
        return following

    def _start(
        self, member: str, cron: Cron, spec: dict[str, Any], times: tuple[int, int, int]
    ) -> None:
        last_ms, tick_ms, at_ms = times
        event = tick_event(cron, tick_ms, at_ms)
        start = starting(spec, event[1], at_ms)
        step = timer.Tick(member, last_ms, tick_ms, str(tick_ms))
        crashpoints.reach("scheduler.before_tick")
        reply = run(
            self._redis, timer.tick(self._keys, self._token, step, start, event, self._keep)
        )
        crashpoints.reach("scheduler.after_tick")
        if reply == 1:
            emit("cron.fired", function=spec["id"], tick=tick_ms)

    def _refresh(self) -> None:
        version = (self._redis.call("GET", self._keys.functions_version) or b"0").decode()
        if version == self._version:
            return
        self._version, specs = directory.functions(self._redis, self._keys)
        gate.serve_all(self._redis, self._keys)  # a limit may have been raised or dropped
        for function, spec in specs.items():
            gate.respace_all(self._redis, self._keys, function, numbers_of(spec))
        self._crons = {
            f"{fn}|{cron.key}": (cron, spec)
            for fn, spec in specs.items()
            for cron in (Cron.from_spec(t) for t in spec["triggers"] if "cron" in t)
        }


def _due(cron: Cron, last_ms: int, now_ms: int) -> tuple[list[int], int]:
    """Return the ticks to start and when to look again.

    A tick that waits for its jitter is not a missed one, so ticks of the jitter's span all count.
    """
    if cron.catch_up != "none" or not cron.jitter_ms:
        return due_ticks(cron, last_ms, now_ms)
    since = max(last_ms, now_ms - _GRACE_MS - cron.jitter_ms)
    return due_ticks(replace(cron, catch_up="all"), since, now_ms)
