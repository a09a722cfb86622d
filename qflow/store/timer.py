"""Delayed jobs and cron ticks, moved by the leading scheduler."""

from __future__ import annotations

from typing import NamedTuple

from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.redis import Redis
from qflow.store.script import Call, run
from qflow.store.stream import Keep, Start


class Moved(NamedTuple):
    """What a move did: `next_ms` is the next due time, -1 where nothing is scheduled.

    `count` is -1 where the caller no longer leads.
    """

    count: int  # type: ignore[assignment]  # nobody misses tuple.count
    now_ms: int
    next_ms: int


def due(redis: Redis, keys: Keys, token: int, limit: int, ttl_s: int) -> Moved:
    """Move up to `limit` due jobs to the queue, and settle the open steps whose time is over."""
    call = Call(
        "due",
        (keys.scheduled, keys.queue, keys.wake, keys.leader),
        (keys.ns, RQ, token, limit, JOB_DATA, ttl_s),
    )
    reply = run(redis, call)
    return Moved(*reply) if len(reply) == 3 else Moved(-1, 0, -1)


class Tick(NamedTuple):
    """A schedule's step forward: from the tick handled last to `handled`; `tick` "" starts nothing."""

    member: str
    last_ms: int
    handled_ms: int
    tick: str


def tick(
    keys: Keys, token: int, step: Tick, start: Start, event: tuple[str, str], keep: Keep
) -> Call:
    """Start a tick's run and remember the tick as handled."""
    return Call(
        "tick",
        (keys.cron, keys.leader, keys.rq_queues, keys.wake, keys.scheduled),
        (
            keys.ns, RQ, token, step.member, step.last_ms, step.handled_ms, step.tick, *start, *event,
            JOB_DATA, *keep,
        ),
    )  # fmt: skip


def schedules(redis: Redis, keys: Keys) -> dict[str, int]:
    """Return every published schedule with the tick it handled last (ms)."""
    flat = redis.call("ZRANGE", keys.cron, 0, -1, "WITHSCORES")
    return {flat[i].decode(): int(float(flat[i + 1])) for i in range(0, len(flat), 2)}
