"""Who is there: workers with their leases, and the leading scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from qflow.read.snapshot import clock_ms, number, pairs, scored, text
from qflow.store.keys import Keys
from qflow.store.redis import Redis


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that holds a lease, live or lapsed; its RQ record where there still is one."""

    name: str
    lease_ms: int
    live: bool
    runs: int
    host: str
    pid: int | None
    state: str
    started: str
    finished: int
    failed: int


@dataclass(frozen=True, slots=True)
class Leader:
    """The scheduler that leads, or led last. `left_ms` is what its lead still has, below 0 where it
    lapsed; `holder` is empty where no scheduler ever ran."""

    holder: str
    token: int
    left_ms: int

    @property
    def live(self) -> bool:
        """Whether somebody leads now."""
        return bool(self.holder) and self.left_ms > 0


def leases(redis: Redis, keys: Keys) -> dict[str, int]:
    """Return every worker with what is left of its lease in ms, below 0 where it lapsed."""
    time, flat = redis.pipeline([("TIME",), ("ZRANGE", keys.leases, 0, -1, "WITHSCORES")])
    now_ms = clock_ms(time)
    return {name: int(until) - now_ms for name, until in scored(flat)}


def workers(redis: Redis, keys: Keys) -> list[WorkerView]:
    """Return every worker that holds a lease, live or lapsed, by name."""
    left = leases(redis, keys)
    names = sorted(left)
    commands = [
        command
        for name in names
        for command in (("HGETALL", keys.rq_worker(name)), ("SCARD", keys.lanes(name)))
    ]
    replies = redis.pipeline(commands) if commands else []
    return [
        _worker(name, left[name], pairs(replies[2 * i]), int(replies[2 * i + 1]))
        for i, name in enumerate(names)
    ]


def _worker(name: str, left_ms: int, record: dict[str, str], runs: int) -> WorkerView:
    return WorkerView(
        name=name,
        lease_ms=left_ms,
        live=left_ms > 0,
        runs=runs,
        host=record.get("hostname", ""),
        pid=int(record["pid"]) if "pid" in record else None,
        state=record.get("state", ""),
        started=record.get("birth", ""),
        finished=int(record.get("successful_job_count", 0)),
        failed=int(record.get("failed_job_count", 0)),
    )


def leader(redis: Redis, keys: Keys) -> Leader:
    """Return the leading scheduler, or the last that led."""
    time, fields = redis.pipeline([("TIME",), ("HMGET", keys.leader, "holder", "token", "until")])
    until = number(fields[2]) or 0
    return Leader(text(fields[0]), number(fields[1]) or 0, until - clock_ms(time))
