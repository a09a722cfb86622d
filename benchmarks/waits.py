"""What an event costs, by the number of runs that wait for its name with another value: the same.

`python -m benchmarks.waits` prints microseconds an event, each of which wakes one run, in the round that
was disturbed least, beside 10, 1,000 and
100,000 other waiters, and the ratio of the last to the first (at most 1.5).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

from qflow.core.ids import ulid
from qflow.core.waits import digest
from qflow.engine.intake import Accepted, read_entry
from qflow.services.delivery import Delivery
from qflow.store import lease, run, stream, wait
from qflow.store.keys import Keys
from qflow.store.open import Opening, Suspension, fork
from qflow.store.redis import Redis
from qflow.store.run import NOTHING, Held
from qflow.store.script import load, run_all
from qflow.testing.server import RedisServer

OTHERS = (10, 1_000, 100_000)
EVENTS = 300
ROUNDS = 5
_PAGE = 500
_KEEP = stream.Keep(500, 700)
_NOTE = json.dumps({"t": "wait", "kind": "event"})


class Waiting:
    """Runs that wait for `order/paid`, each with an id of its own."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keys = Keys("qflow")
        self._made = 0
        load(redis)
        stream.ensure_group(redis, self._keys)
        who = lease.Identity("w", "host", 1, "0", "3")
        pulse = lease.Pulse("busy", 0, 0, 0.0, [])
        run_all(redis, [lease.beat(self._keys, who, 10**9, 60, pulse, first=True)])
        run_all(redis, [wait.watch(self._keys, "order/paid", "data.id")])
        self._delivery = Delivery(redis, self._keys, 500)
        self._delivery.refresh()
        self._version = redis.call("GET", self._keys.functions_version).decode()

    def add(self, count: int) -> range:
        """Let so many more runs wait; return their ids."""
        first = self._made
        while self._made < first + count:
            self._add_page(min(_PAGE, first + count - self._made))
        return range(first, self._made)

    def _add_page(self, count: int) -> None:
        keys, ids = self._keys, range(self._made, self._made + count)
        for _ in ids:
            self._redis.call("XADD", keys.events, "*", "name", "order/created")
        entries = stream.read(self._redis, keys, "r", count, 1000)
        starts = []
        for entry in entries:
            made = stream.Start("order", ulid(1, os.urandom(10)), "1", "bench")
            event = (entry.id, '{"name":"order/created"}')
            starts.append(stream.start(keys, entry.id, self._version, event, _KEEP, [made]))
        run_all(self._redis, starts)
        (claims,) = run_all(self._redis, [run.claim(keys, "w", count, 60)])
        forks = []
        for number, raw in zip(ids, claims, strict=True):
            taken = run.claimed(raw)
            held = Held(keys, taken.run, "order", 0, 500, 60)
            spec = {
                "kind": "event", "late": "", "delay_ms": 0, "due_ms": 0, "note": _NOTE, "at": 1,
                "digests": [digest("order/paid", "data.id", number)],
            }  # fmt: skip
            lanes = (taken.lane, taken.lane.next("w", ""))
            openings = [Opening("paid", spec)]
            forks.append(fork(held, lanes, NOTHING, Suspension(0, False), openings, _KEEP.ended_s))
        run_all(self._redis, forks)
        self._made += count

    def route(self, ids: range) -> float:
        """Route an event for each of these; return microseconds an event."""
        keys = self._keys
        for number in ids:
            data = json.dumps({"id": number})
            self._redis.call("XADD", keys.events, "*", "name", "order/paid", "data", data)
        events = [
            event
            for event in map(read_entry, stream.read(self._redis, keys, "r", len(ids), 1000))
            if isinstance(event, Accepted)
        ]
        begun = time.perf_counter()
        for event in events:
            self._delivery.give([event])
            text = (event.event_id, event.text)
            run_all(
                self._redis, [stream.start(keys, event.entry.id, self._version, text, _KEEP, [])]
            )
        seconds = time.perf_counter() - begun
        (woken,) = run_all(self._redis, [run.claim(keys, "w", len(ids), 60)])
        assert len(woken) == len(ids), "an event woke no run"
        return seconds / len(ids) * 1e6


def measure(server: RedisServer, others: tuple[int, ...], events: int) -> dict[int, float]:
    """Return microseconds an event beside so many other waiters."""
    redis = Redis(server.url)
    redis.call("FLUSHALL")
    waiting = Waiting(redis)
    figures = {}
    have = 0
    for count in others:
        waiting.add(count - have)
        have = count
        figures[count] = min(waiting.route(waiting.add(events)) for _ in range(ROUNDS))
    redis.close()
    return figures


def lines() -> Iterator[str]:
    """Yield the table, a line each."""
    yield "| other waiters | µs an event |"
    yield "|---:|---:|"
    with RedisServer() as server:
        figures = measure(server, OTHERS, EVENTS)
    for count, us in figures.items():
        yield f"| {count:,} | {us:.0f} |"
    yield f"ratio {figures[OTHERS[-1]] / figures[OTHERS[0]]:.2f}"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
