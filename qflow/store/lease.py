"""Leases of workers and the lead among schedulers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qflow.store import failure
from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.redis import Redis
from qflow.store.script import Call, run


class Identity(NamedTuple):
    """What a worker says of itself to RQ's tools."""

    worker: str
    hostname: str
    pid: int
    version: str
    python: str


class Pulse(NamedTuple):
    """A worker's state since its last beat: jobs ended, seconds worked, jobs running now."""

    state: str
    finished: int
    failed: int
    worked_s: float
    running: Sequence[str]


def beat(
    keys: Keys, who: Identity, lease_ms: int, wip_ttl_s: int, pulse: Pulse, *, first: bool
) -> Call:
    """Register a worker (`first`) or renew its lease."""
    worker = who.worker
    return Call(
        "beat",
        (
            keys.leases, keys.lanes(worker), keys.rq_worker(worker), keys.rq_workers,
            keys.rq_queue_workers, keys.wip, keys.rq_worker_executions(worker),
        ),
        (
            keys.ns, RQ, worker, lease_ms, int(first), keys.queue_name, who.hostname, who.pid,
            who.version, who.python, pulse.state, pulse.finished, pulse.failed,
            f"{pulse.worked_s:.6f}", wip_ttl_s, *pulse.running,
        ),
    )  # fmt: skip


def rescue(keys: Keys, worker: str, ttl_s: int, *, leaving: bool, only: str = "") -> Call:
    """Return the jobs of a dead (or leaving) worker to the queue; `only` one, as run:token."""
    died = "" if leaving else failure.packed(f"its worker {worker} died")
    return Call(
        "rescue",
        (keys.leases, keys.lanes(worker), keys.queue, keys.wake, keys.wip, keys.failed),
        (keys.ns, RQ, worker, int(leaving), JOB_DATA, ttl_s, only, died),
    )


def lapsed(redis: Redis, keys: Keys, now_ms: int, count: int = 100) -> list[str]:
    """Return workers whose lease lapsed before `now_ms`."""
    raw = redis.call("ZRANGEBYSCORE", keys.leases, "-inf", now_ms, "LIMIT", 0, count)
    return [name.decode() for name in raw]


class Lead(NamedTuple):
    """The answer to a bid for the lead: `token` is 0 for a standby."""

    token: int
    now_ms: int
    wait_ms: int


def lead(redis: Redis, keys: Keys, name: str, lease_ms: int, *, resign: bool = False) -> Lead:
    """Take, keep or resign the lead among schedulers."""
    call = Call("lead", (keys.leader,), (name, lease_ms, int(resign)))
    return Lead(*run(redis, call))
