"""Depths and ages: what is waiting, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qflow.read import snapshot
from qflow.read.counts import as_counts, count_commands
from qflow.read.snapshot import clock_ms, number, pairs, scored, text
from qflow.store.keys import Keys
from qflow.store.redis import Redis

_LAG_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Stream:
    """The event stream as the routers see it: entries unread and read but not acknowledged.

    `lag` is None where there is no consumer group yet, so no router ever ran.
    """

    length: int
    lag: int | None
    pending: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Overview:
    """One look at everything that waits or counts. Times in ms, by Redis's clock."""

    now_ms: int
    runs: dict[str, int]
    queue_depth: int
    oldest_wait_ms: int
    delayed: int
    next_due_ms: int | None
    stream: Stream
    functions: int
    counters: dict[str, int]

    @property
    def overdue_ms(self) -> int:
        """How late the earliest delayed job is, 0 where none is late."""
        return max(0, self.now_ms - self.next_due_ms) if self.next_due_ms else 0

    @property
    def unfinished(self) -> int:
        """Runs that have not ended."""
        return self.runs["queued"] + self.runs["running"] + self.runs["waiting"]


def overview(redis: Redis, keys: Keys) -> Overview:
    """Look at queue, timers, stream, functions and counters: two round trips, whatever the load."""
    replies = snapshot.each(
        redis,
        [
            ("TIME",), ("LLEN", keys.queue), ("LINDEX", keys.queue, 0), ("ZCARD", keys.scheduled),
            ("ZRANGE", keys.scheduled, 0, 0, "WITHSCORES"), ("HLEN", keys.functions),
            ("HGETALL", keys.counters), ("XLEN", keys.events), ("XLEN", keys.rejected),
            ("XINFO", "GROUPS", keys.events), *count_commands(keys),
        ],
    )  # fmt: skip
    time, depth, head, delayed, due, functions, counters, length, rejected, groups = replies[:10]
    now_ms = clock_ms(time)
    lag, pending = _lag(redis, keys, groups)
    next_due = scored(due)
    return Overview(
        now_ms=now_ms,
        runs=as_counts(replies[10:]),
        queue_depth=int(depth or 0),
        oldest_wait_ms=_waited(redis, keys, text(head), now_ms),
        delayed=int(delayed or 0),
        next_due_ms=round(next_due[0][1] * 1000) if next_due else None,
        stream=Stream(int(length or 0), lag, pending, int(rejected or 0)),
        functions=int(functions or 0),
        counters={name: int(value) for name, value in pairs(counters).items()},
    )


def _waited(redis: Redis, keys: Keys, head: str, now_ms: int) -> int:
    """Return for how long the job at the head of the queue has been there."""
    if not head:
        return 0
    queued = number(redis.call("HGET", keys.run(head[:26]), "queued"))
    return max(0, now_ms - queued) if queued else 0


def _lag(redis: Redis, keys: Keys, groups: list[Any] | None) -> tuple[int | None, int]:
    """Return how many entries no router has read, and how many none has acknowledged."""
    if not groups:
        return None, 0
    group = {text(k): v for k, v in zip(groups[0][::2], groups[0][1::2], strict=True)}
    lag = group.get("lag")
    if lag is None:  # before Redis 7, or after entries were deleted: count a few ourselves
        after = text(group["last-delivered-id"])
        unread = redis.call("XRANGE", keys.events, f"({after}", "+", "COUNT", _LAG_SHOWN)
        lag = len(unread)
    return int(lag), int(group["pending"])
