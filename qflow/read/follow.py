"""Following what goes on: the trace of one run, runs as they come and end, events as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from qflow.core.status import ENDED
from qflow.read.runs import RunRow, rows
from qflow.read.snapshot import clock_ms, scored, text
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


def entries(redis: Redis, stream: str, after: str = "$") -> Iterator[list[Any]]:
    """Yield the entries of a stream as they are appended, without end."""
    if after == "$":
        newest = redis.call("XREVRANGE", stream, "+", "-", "COUNT", 1)
        after = text(newest[0][0]) if newest else "0-0"
    while True:
        reply = redis.block(
            _BLOCK_MS / 1000, "XREAD", "COUNT", _BATCH, "BLOCK", _BLOCK_MS, "STREAMS", stream, after
        )
        for item in reply[0][1] if reply else ():
            after = text(item[0])
            yield item


def runs(redis: Redis, keys: Keys) -> Iterator[RunRow]:
    """Yield each run that is created from now on, and again when it has ended."""
    import time

    since = clock_ms(redis.call("TIME"))
    seen: set[str] = set()
    open_runs: list[str] = []
    while True:
        flat = redis.call(
            "ZRANGEBYSCORE", keys.runs, since, "+inf", "WITHSCORES", "LIMIT", 0, _BATCH + len(seen)
        )
        places = scored(flat)
        fresh = [run for run, _ in places if run not in seen]
        if places:
            since = int(places[-1][1])
            seen = {run for run, score in places if int(score) == since}
        news = rows(redis, keys, fresh)
        yield from news
        ended = [row for row in rows(redis, keys, open_runs) if row.status in ENDED]
        yield from ended
        gone = {row.id for row in (*news, *ended) if row.status in ENDED}
        # The oldest are given up beyond a bound, so that a flood cannot make each poll slow.
        open_runs = [run for run in (*open_runs, *fresh) if run not in gone][-_BATCH:]
        if len(fresh) < _BATCH:
            time.sleep(_POLL_S)
