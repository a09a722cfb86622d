"""Following what goes on: the trace of one run, runs as they come and end, events as they arrive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from qflow.core.status import ENDED
from qflow.read.runs import RunRow, now_ms, rows
from qflow.read.snapshot import scored, text
from qflow.read.timeline import Entry, entry
from qflow.store.keys import Keys
from qflow.store.redis import Redis

_BLOCK_MS: Final = 1000
_POLL_S: Final = 0.25
_BATCH: Final = 500


def trace(redis: Redis, keys: Keys, run: str) -> Iterator[Entry]:
    """Yield the entries of a run's trace, past ones first, until the run has ended or is gone."""
    last, ended = "0-0", False
    while True:
        reply = redis.block(
            _BLOCK_MS / 1000, "XREAD", "COUNT", _BATCH, "BLOCK", 1 if ended else _BLOCK_MS,
            "STREAMS", keys.trace(run), last,
        )  # fmt: skip
        if not reply:
            if ended:
                return
            status = redis.call("HGET", keys.run(run), "status")
            ended = status is None or text(status) in ENDED  # its last entries may just have come
            continue
        for item in reply[0][1]:
            last = text(item[0])
            told = entry(item)
            yield told
            if told["t"] == "end":
                return


def entries(redis: Redis, stream: str) -> Iterator[list[Any]]:
    """Give the entries that are appended to a stream from this call on, without end."""
    newest = redis.call("XREVRANGE", stream, "+", "-", "COUNT", 1)
    return _entries(redis, stream, text(newest[0][0]) if newest else "0-0")


def _entries(redis: Redis, stream: str, after: str) -> Iterator[list[Any]]:
    while True:
        reply = redis.block(
            _BLOCK_MS / 1000, "XREAD", "COUNT", _BATCH, "BLOCK", _BLOCK_MS, "STREAMS", stream, after
        )
        for item in reply[0][1] if reply else ():
            after = text(item[0])
            yield item


def runs(redis: Redis, keys: Keys) -> Iterator[RunRow]:
    """Give each run that is created from this call on, and again when it has ended, without end."""
    return _runs(redis, keys, now_ms(redis))


def _runs(redis: Redis, keys: Keys, since: int) -> Iterator[RunRow]:
    seen: set[str] = set()
    going: list[str] = []
    while True:
        limit = _BATCH + len(seen)
        places = scored(
            redis.call("ZRANGEBYSCORE", keys.runs, since, "+inf", "WITHSCORES", "LIMIT", 0, limit)
        )
        fresh = [run for run, _ in places if run not in seen]
        if places:
            since = int(places[-1][1])
            seen = {run for run, score in places if int(score) == since}
        news = rows(redis, keys, fresh)
        yield from news
        ended = [row for row in rows(redis, keys, going) if row.status in ENDED]
        yield from ended
        over = {row.id for row in (*news, *ended) if row.status in ENDED}
        # Beyond a bound the oldest are given up, so that a flood cannot make each poll slow.
        going = [run for run in (*going, *fresh) if run not in over][-_BATCH:]
        if len(fresh) < _BATCH:
            time.sleep(_POLL_S)
