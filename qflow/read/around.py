"""What one unfinished run depends on: queue, workers, scheduler, pause, limits, events that did not match."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from qflow.read import topology
from qflow.read.snapshot import text
from qflow.read.timeline import Timeline
from qflow.read.topology import Leader
from qflow.store.gate import groups_of
from qflow.store.keys import Keys
from qflow.store.redis import Redis

LOOKED_AT: Final = 5_000
"""Newer events that are looked at for those that did not match."""

_SHOWN: Final = 3


class Limited(NamedTuple):
    """The limit that a run waits for: its name and key ("*" where it has none), how many it allows, some of
    the runs that hold its slots, and the run's place among those that wait for the same, from 1."""

    limit: str
    key: str
    most: int
    holders: tuple[str, ...]
    held: int
    place: int
    waiters: int


class Around(NamedTuple):
    """What a run depends on: jobs in the queue, workers with what is left of their leases, the leader;
    `paused` says what becomes of the events of its function, "" where it is not paused. `strays` counts
    the events of the awaited names that came since the run began and did not match; `published` tells whether
    any worker has its function."""

    queue_depth: int
    leases: dict[str, int]
    leader: Leader
    paused: str = ""
    limited: Limited | None = None
    strays: int = 0
    published: bool = True


def around(redis: Redis, keys: Keys, told: Timeline) -> Around:
    """Look at what a run depends on; of one that has ended, at nothing."""
    function = told.row.function
    if told.row.ended is not None:
        return Around(0, {}, Leader("", 0, 0))
    depth, paused, spec, fields = redis.pipeline(
        [
            ("LLEN", keys.queue),
            ("HGET", keys.paused, function),
            ("HEXISTS", keys.functions, function),
            ("HMGET", keys.run(told.row.id), "lane", "flow"),
        ]
    )
    lane, flow = map(text, fields)
    leader = topology.leader(redis, keys)
    return Around(
        int(depth), topology.leases(redis, keys), leader, text(paused),
        _limited(redis, keys, told.row.id, flow) if lane.startswith("b|") else None,
        _strays(redis, keys, told), bool(spec),
    )  # fmt: skip


def _limited(redis: Redis, keys: Keys, run: str, flow: str) -> Limited | None:
    groups = [group for group in groups_of(flow) if group]
    ranks = redis.pipeline([("ZRANK", keys.backlog(group), run) for group in groups])
    for group, rank in zip(groups, ranks, strict=True):
        if rank is None:
            continue
        found = [_full(redis, keys, group, int(rank), limit) for limit in group.split(",")]
        return max(found, key=lambda each: each.held - each.most)
    return None


def _full(redis: Redis, keys: Keys, group: str, rank: int, limit: str) -> Limited:
    name, _, key = limit.partition("=")
    most, held, holders, waiters = redis.pipeline(
        [
            ("HGET", keys.limits, name),
            ("ZCARD", keys.slots(limit)),
            ("ZRANGE", keys.slots(limit), 0, _SHOWN - 1),
            ("ZCARD", keys.backlog(group)),
        ]
    )
    runs = tuple(map(text, holders))
    return Limited(name, key, int(most or 0), runs, int(held), rank + 1, int(waiters))


def _strays(redis: Redis, keys: Keys, told: Timeline) -> int:
    """Count the events that a waiting step might have been given, and was not."""
    waiting = [step for step in told.steps if step.kind == "event" and step.status == "waiting"]
    wanted = {name.strip().encode() for step in waiting[:1] for name in step.wants.split(",")}
    if not wanted:
        return 0
    since = f"{told.row.created}-0"
    raw: list[Any] = redis.call("XRANGE", keys.events, since, "+", "COUNT", LOOKED_AT)
    return sum(
        fields[fields.index(b"name") + 1] in wanted for _, fields in raw if b"name" in fields
    )
