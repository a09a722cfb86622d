"""The worker: registers, claims jobs into its slots, keeps its lease, drains.

Does: executes runs of the functions it was given, any number of workers side by side.
Options: slots, lease, grace, time slice, retention (see config).
Emits: worker.started, worker.stopped, worker.lapsed, loop.blocked, run.*, step.ended.
"""

from __future__ import annotations

import os
import platform
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from qflow import crashpoints
from qflow.core.function import Function
from qflow.engine.advance import LoggerFor
from qflow.engine.apply import Retention
from qflow.engine.clock import Clock
from qflow.engine.commit import Committer
from qflow.engine.execute import Engine
from qflow.engine.hearing import listen
from qflow.engine.session import Terms
from qflow.errors import QflowError
from qflow.services.loop import LoopThread
from qflow.services.places import Plan
from qflow.services.slots import Slots, received
from qflow.store import lease, pause
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import Claimed, Held, claim, claimed, is_plain
from qflow.store.script import Call, run, run_all
from qflow.telemetry import emit

_POLL_S: Final = 1.0
_BEAT_S: Final = 1.0
_FLUSH_S: Final = 0.005
_ASIDE_S: Final = 0.05
_SET_ASIDE: Final = -2


@dataclass(frozen=True)
class Options:
    """A worker's share of the settings; times in seconds unless named otherwise."""

    slots: int
    lease_ms: int
    grace_s: float
    slice_s: float
    keep: Retention
    ttl_s: int
    version: str
    heard_bytes: int = 0
    """How much of what an attempt of a step prints and logs is kept."""

    @property
    def wip_ttl_s(self) -> int:
        """How long RQ may believe in a running job without hearing of it."""
        return self.lease_ms // 1000 + 60


class Worker:
    """One worker process. `run` works until `stop` is set, then drains."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        functions: dict[str, Function[Any]],
        options: Options,
        logger_for: LoggerFor,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._options = options
        self.name = f"{socket.gethostname()}.{os.getpid()}.{os.urandom(3).hex()}".replace("|", "-")
        self._loop = LoopThread(self.name)
        self._engine = Engine(Committer(redis), Clock(0), self._loop)
        self._draining = False
        self._stopped = threading.Event()
        self._orphans: set[str] = set()
        self._paused: frozenset[str] = frozenset()
        terms = Terms(options.keep, self._yields, lambda: self._draining, self._follow)
        plan = Plan(functions, self._hold, terms, logger_for)
        self.slots = Slots(self._engine, options.slots, plan, self._loop.loop)
        self._functions = functions

    def run(self, stop: threading.Event) -> bool:
        """Work until `stop` is set, then drain; return whether every run was let go of in time."""
        self._beat(first=True)
        unlisten = listen(self._options.heard_bytes)
        try:
            return self._work(stop)
        finally:
            unlisten()

    def _work(self, stop: threading.Event) -> bool:
        for name, target in (("beat", self._keep_beating), ("flush", self._keep_flushing)):
            threading.Thread(target=target, name=name, daemon=True).start()
        threading.Thread(target=self._watch_stop, args=(stop,), name="stop", daemon=True).start()
        emit(
            "worker.started",
            worker=self.name,
            functions=len(self._functions),
            slots=self.slots.count,
        )
        while not stop.is_set():
            try:
                self._claim_once()
                emit("loop.ticked", loop="worker")
            except Exception as error:  # noqa: BLE001  # one bad job must not end the worker
                emit("loop.failed", loop="worker", error=_told(error))
                stop.wait(0.5)
        return self._drain()

    # -- claiming

    def _claim_once(self) -> None:
        free = self.slots.wait_free(_POLL_S)
        if not free or self._draining:
            return
        reply = run(self._redis, self._claim_call(free))
        crashpoints.reach("worker.claimed")
        if reply == -1:
            emit("worker.lapsed", worker=self.name)
            self._beat(first=True)
            return
        if reply == _SET_ASIDE:
            self._stopped.wait(_ASIDE_S)
            return
        for raw in reply:
            self.slots.execute(received(self._engine, claimed(raw)))
        if not reply and not self._draining:
            self._redis.block(_POLL_S, "BLPOP", self._keys.wake, _POLL_S)

    def _claim_call(self, count: int) -> Call:
        return claim(self._keys, self.name, count, self._options.wip_ttl_s)

    def _follow(self) -> Call | None:
        return None if self._draining else self._claim_call(1)

    def _hold(self, taken: Claimed) -> Held:
        fields = taken.fields
        attempt = int(fields.get("attempt", "0"))
        options = self._options
        return Held(
            self._keys, taken.run, fields.get("fn", ""), attempt, options.ttl_s, options.wip_ttl_s,
            fields.get("created", "0"), is_plain(fields), fields.get("flow", ""),
        )  # fmt: skip

    def _yields(self, since: float, function: str) -> bool:
        """Whether a run goes back to the queue at its next step: its function is paused, or it has used
        its time slice while others may be waiting for a place."""
        if function in self._paused:
            return True
        return self.slots.free == 0 and time.monotonic() - since > self._options.slice_s

    # -- the lease

    def _keep_beating(self) -> None:
        interval = min(_BEAT_S, self._options.lease_ms / 3000)
        while not self._stopped.wait(interval):
            try:
                self._beat(first=False)
                self._loop.report_if_blocked()
            except Exception as error:  # noqa: BLE001  # a worker without a beat is taken for dead
                emit("loop.failed", loop="beat", error=_told(error))

    def _beat(self, *, first: bool) -> None:
        ended, self.slots.ended = self.slots.ended, [0, 0, 0.0]
        before = dict(self.slots.active)
        running = [active.session.job for active in before.values()]
        pulse = lease.Pulse(
            "busy" if running else "idle", int(ended[0]), int(ended[1]), ended[2], running
        )
        who = lease.Identity(
            self.name,
            socket.gethostname(),
            os.getpid(),
            self._options.version,
            platform.python_version(),
        )
        call = lease.beat(
            self._keys, who, self._options.lease_ms, self._options.wip_ttl_s, pulse, first=first
        )
        asked_s = time.monotonic()
        now_ms, *held = run(self._redis, call)
        emit("loop.ticked", loop="beat")
        if now_ms == -1:
            emit("worker.lapsed", worker=self.name)
            self._beat(first=True)
            return
        self._engine.clock.set(now_ms, asked_s)
        self._paused = frozenset(pause.paused(self._redis, self._keys))
        runs = {run_id.decode() for run_id in held}
        self._release_orphans(runs)
        self._interrupt_cancelled(before.keys() - runs)
        self._interrupt_given_up(before.keys() - runs)

    def _interrupt_cancelled(self, gone: Iterable[str]) -> None:
        """Stop what this worker executes that is no longer in its name, where its run was cancelled, and
        suspended handlers of such runs; those that ended or were lost say so themselves."""
        members = [member for member in gone if member in self.slots.active]
        members += self.slots.suspended()
        if members:
            runs = [member.partition(":")[0] for member in members]
            asked = [("HGET", self._keys.run(run_id), "status") for run_id in runs]
            for member, status in zip(members, self._redis.pipeline(asked), strict=True):
                if status == b"cancelled":
                    self.slots.interrupt(member)

    def _interrupt_given_up(self, gone: Iterable[str]) -> None:
        """Stop open steps that this worker executes and nobody waits for: they lost a race or ran into a
        time-out of their handler, or the handler has ended. One that has settled has a result."""
        active = self.slots.active
        steps = {m: active[m].session.lane.step for m in gone if ":" in m and m in active}
        asked: list[tuple[str, ...]] = []
        for member, step in steps.items():
            run_id, _, step_hash = member.partition(":")
            asked.append(("HEXISTS", self._keys.open(run_id), step_hash))
            asked.append(("HEXISTS", self._keys.steps(run_id), step))
        found = self._redis.pipeline(asked) if asked else []
        for member, is_open, is_settled in zip(steps, found[::2], found[1::2], strict=True):
            if not (is_open or is_settled):
                self.slots.give_up(member)

    def _release_orphans(self, held: set[str]) -> None:
        """Give back runs and open steps held in this worker's name that it knows nothing of (a lost
        reply).

        Those that two beats in a row found so, under the same token: a claim may be on its way.
        """
        orphans = sorted(held - self.slots.placed - self.slots.active.keys())
        if not orphans:
            self._orphans = set()
            return
        commands = [
            ("HGET", self._keys.open(run_id), step)
            if step
            else ("HGET", self._keys.run(run_id), "lane")
            for run_id, _, step in (orphan.partition(":") for orphan in orphans)
        ]
        found = {
            f"{orphan}:{raw.split(b'|')[1].decode()}"
            for orphan, raw in zip(orphans, self._redis.pipeline(commands), strict=True)
            if raw
        }
        lasting = found & self._orphans
        self._orphans = found - lasting
        ttl_s = self._options.ttl_s
        calls = [
            lease.rescue(self._keys, self.name, ttl_s, leaving=True, only=orphan)
            for orphan in lasting
        ]
        if calls:  # in one round trip: the next beat must not wait for many
            run_all(self._redis, calls)

    def _keep_flushing(self) -> None:
        while not self._stopped.is_set():
            busy = self.slots.free < self.slots.count
            try:
                if busy:
                    self.slots.flush()
            except Exception as error:  # noqa: BLE001  # nobody else would keep finished steps
                emit("loop.failed", loop="flush", error=_told(error))
            time.sleep(_FLUSH_S if busy else _FLUSH_S * 4)

    # -- leaving

    def _watch_stop(self, stop: threading.Event) -> None:
        stop.wait()
        self._draining = True

    def _drain(self) -> bool:
        self._draining = True
        clean = self.slots.wait_empty(self._options.grace_s)
        self._stopped.set()
        try:
            run(self._redis, lease.rescue(self._keys, self.name, self._options.ttl_s, leaving=True))
        except QflowError as error:
            emit("loop.failed", loop="drain", error=str(error))
        emit("worker.stopped", worker=self.name)
        return clean


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, QflowError) else repr(error)
