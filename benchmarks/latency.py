"""Latencies on an idle machine: from step to step, and from an event to its first step."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import pairwise

from benchmarks.stage import Stage, stage
from qflow import Event
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer

_APART_S = 0.02


def measure(server: RedisServer, workers: int, chains: int, events: int) -> dict[str, float]:
    """Return percentiles in milliseconds of both latencies, and of a plain PING beside them."""
    figures = _percentiles("ping", _pings(server))
    with stage(server, workers) as ready:
        for function in ("hops", "ahops"):
            figures |= _percentiles(function, _hops(ready, function, chains))
        figures |= _percentiles("first", _firsts(ready, events))
    return figures


def _pings(server: RedisServer) -> list[float]:
    redis = Redis(server.url)
    marks = []
    for _ in range(1000):
        redis.call("PING")
        marks.append(time.perf_counter_ns())
    redis.close()
    return [(after - before) / 1e6 for before, after in pairwise(marks)]


def _hops(ready: Stage, function: str, chains: int) -> list[float]:
    """Run one chain at a time; return the times between its step bodies, all in one process."""
    for number in range(chains):
        ready.send(function)
        ready.watch(function, number + 1, _APART_S)  # seldom: asking would disturb the chain
    marks: list[list[int]] = [json.loads(output) for output in ready.outputs(function)]
    return [(after - before) / 1e6 for chain in marks for before, after in pairwise(chain)]


def _firsts(ready: Stage, events: int) -> list[float]:
    """Send events one by one; return the times from before each call to its step's body."""
    for _ in range(events):
        due = time.monotonic() + _APART_S
        ready.app.send(Event("bench/first", data={"sent": time.time_ns()}))
        time.sleep(max(0.0, due - time.monotonic()))
    ready.watch("first", events)
    return [json.loads(output) / 1e6 for output in ready.outputs("first")]


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return {f"{name}_p{p}_ms": ordered[round(last * p / 100)] for p in (50, 95, 99)}
