"""Finds what qflow's own moves cannot lose, and others can: jobs that left the queue, timers that are gone.

RQ's pop is not atomic, rq-scheduler forgets an entry whose job it does not find, and operators delete
keys. What waits is walked by cursor, a page at a time, so that a pass costs about the same however
much there is, and each run is looked at once a round.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.redis import Redis
from qflow.store.run import Held, Lane
from qflow.store.script import Call

_RUNS: Final = 1000
_FORKED: Final = 50
_CHUNK: Final = 10_000


class Missing(NamedTuple):
    """A run, or an open step of it (`open_hash`), without the job or the timer that its record stands for."""

    held: Held
    lane: Lane
    open_hash: str
    is_timer: bool


class Search:
    """A walk over the runs that wait; `page` looks at the next of them."""

    def __init__(self, redis: Redis, keys: Keys, ttl_s: int) -> None:
        self._redis = redis
        self._keys = keys
        self._ttl_s = ttl_s
        self._indexes = {
            keys.by_status("queued"): _RUNS,
            keys.by_status("waiting"): _RUNS,
            keys.forks: _FORKED,
        }
        self._cursors = dict.fromkeys(self._indexes, b"0")
        self.length = 0
        """How long the queue was when it was last looked at."""

    def page(self, before_ms: int) -> list[Missing]:
        """Return what is missing of the next runs; jobs queued after `before_ms` are on their way."""
        jobs: list[Missing] = []
        timers: list[Missing] = []
        for each in self._next_records(before_ms):
            state = each.lane.state
            if state == "q":
                jobs.append(each)
            elif state in "dw":
                timers.append(each._replace(is_timer=True))
        return self._not_queued(jobs) + self._not_scheduled(timers)

    def _next_records(self, before_ms: int) -> list[Missing]:
        commands = [
            ("ZSCAN", key, self._cursors[key], "COUNT", count)
            for key, count in self._indexes.items()
        ]
        runs: dict[str, None] = {}
        for key, (cursor, flat) in zip(self._indexes, self._redis.pipeline(commands), strict=True):
            self._cursors[key] = cursor
            runs.update(dict.fromkeys(raw.decode() for raw in flat[::2]))
        asked: list[tuple[Any, ...]] = []
        for run in runs:
            asked.append(("HMGET", self._keys.run(run), "lane", "fn", "queued"))
            asked.append(("HGETALL", self._keys.open(run)))
        told = self._redis.pipeline(asked) if asked else []
        found = []
        for run, (record, function, queued), flat in zip(runs, told[::2], told[1::2], strict=True):
            held = Held(self._keys, run, _text(function or b""), 0, self._ttl_s, 0)
            if record and int(queued or before_ms) < before_ms and record[:1] != b"w":
                found.append(Missing(held, Lane.parse(_text(record)), "", False))
            found += [
                Missing(held, Lane.parse(_text(flat[at + 1])), flat[at].decode(), False)
                for at in range(0, len(flat), 2)
            ]
        return found

    def _not_queued(self, found: list[Missing]) -> list[Missing]:
        """Return those whose job is not in the queue. It is read in parts, so one that moved on its way
        may seem to be missing: whoever puts it back looks again."""
        (self.length,) = self._redis.pipeline([("LLEN", self._keys.queue)])
        if not found:
            return []
        waiting: set[bytes] = set()
        for start in range(0, self.length + 1, _CHUNK):
            part = self._redis.call("LRANGE", self._keys.queue, start, start + _CHUNK - 1)
            waiting.update(part)
        return [each for each in found if each.held.job(each.lane).encode() not in waiting]

    def _not_scheduled(self, found: list[Missing]) -> list[Missing]:
        asked: list[tuple[Any, ...]] = []
        for each in found:
            asked.append(("ZSCORE", self._keys.scheduled, each.held.job(each.lane)))
            asked.append(("HGET", self._keys.waits(each.held.run), each.open_hash))
        told = self._redis.pipeline(asked) if asked else []
        return [
            each
            for each, score, wait in zip(found, told[::2], told[1::2], strict=True)
            if score is None and (each.lane.state == "d" or _has_timer(wait))
        ]


def requeue(missing: Missing) -> Call:
    """Put the job of a queued run or open step back into the queue that lost it."""
    held, lane = missing.held, missing.lane
    job = held.job(lane)
    return Call(
        "requeue",
        (held.keys.queue, held.keys.wake),
        (
            held.keys.ns, RQ, held.run, missing.open_hash, lane.record, job, JOB_DATA,
            held.about(lane.step), held.ttl_s,
        ),
    )  # fmt: skip


def retime(missing: Missing) -> Call:
    """Set the timer of a run or an open step again that is gone."""
    held, lane = missing.held, missing.lane
    job = held.job(lane)
    return Call(
        "retime",
        (held.keys.queue, held.keys.scheduled, held.keys.job(job)),
        (
            held.keys.ns, held.run, missing.open_hash, lane.record, job, JOB_DATA,
            held.about(lane.step), held.ttl_s,
        ),
    )  # fmt: skip


def _has_timer(wait: bytes | None) -> bool:
    spec = json.loads(wait) if wait else {}
    return bool(spec.get("due_ms") or spec.get("delay_ms"))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
