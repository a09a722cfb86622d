"""What a branch of a group costs, by the number of branches: fan-out and fan-in are to be linear.

`python -m benchmarks.parallel` prints, for 100 and for 1,000 branches on two workers, milliseconds, round
trips and the workers' CPU a branch, and how often the handler was woken.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

from benchmarks.stage import Stage, cpu_s, info, stage
from qflow import Event
from qflow.testing.server import RedisServer

ROUNDS = 3
BRANCHES = (100, 1000)
_POLL_S = 0.002


def measure(server: RedisServer, function: str, branches: int) -> dict[str, float]:
    """Run one group of so many branches on two idle workers."""
    with stage(server, 2) as ready:
        _run(ready, function, 10, 0)
        before, cpu = _reads(ready), cpu_s(ready.workers)
        begun = time.perf_counter()
        asked = _run(ready, function, branches, 1)
        seconds = time.perf_counter() - begun
        (run, *_) = ready.redis.call("ZREVRANGE", ready.keys.runs, 0, 0)
        trace = ready.redis.call("XRANGE", ready.keys.trace(run.decode()), "-", "+")
        claims = sum(json.loads(fields[1])["t"] == "claim" for _, fields in trace)
        return {
            "ms": seconds / branches * 1000,
            "round_trips": (_reads(ready) - before - asked) / branches,
            "worker_us": (cpu_s(ready.workers) - cpu) / branches * 1e6,
            "wakes": claims - 1,
        }


def _run(ready: Stage, function: str, branches: int, done: int) -> int:
    ready.app.send(Event(f"bench/{function}", data={"branches": branches}))
    return ready.watch(function, done + 1, _POLL_S)


def _reads(ready: Stage) -> float:
    return float(info(ready.redis, "stats")["total_reads_processed"])


def lines() -> Iterator[str]:
    """Yield the table, a line each."""
    yield "| group | branches | ms a branch | round trips a branch | worker µs a branch | wakes |"
    yield "|---|---:|---:|---:|---:|---:|"
    with RedisServer() as server:
        for function in ("fan", "map"):
            for branches in BRANCHES:
                rounds = [measure(server, function, branches) for _ in range(ROUNDS)]
                ms, trips, cpu, wakes = (
                    statistics.median(each[name] for each in rounds) for name in rounds[0]
                )
                yield f"| {function} | {branches} | {ms:.2f} | {trips:.2f} | {cpu:.0f} | {wakes:.0f} |"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
