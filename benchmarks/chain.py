"""Durable steps a second, and what one step costs Redis and the workers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.flows.chains import STEPS
from benchmarks.stage import Stage, calls, cpu_s, info, machine_s, stage
from qflow.testing.server import RedisServer

_STATS: Final = (
    "total_net_input_bytes",
    "total_net_output_bytes",
    "total_reads_processed",
    "used_cpu_user",
    "used_cpu_sys",
)


@dataclass(frozen=True)
class Cost:
    """Totals so far, of Redis and of the processes."""

    commands: int
    evalsha: int
    bytes: float
    reads: float
    redis_s: float
    workers_s: float
    others_s: float
    foreign_s: float


def measure(server: RedisServer, function: str, workers: int, runs: int) -> dict[str, float]:
    """Run `runs` chains of ten steps on idle workers; return steps/s and costs a step.

    The clock runs from the call that sends all events to the last run done. Costs hold everything
    that happened meanwhile: events, fan-out, starts and ends of runs, heartbeats. `foreign_share` is
    what of the machine was taken by others: where it is not near 0, measure again.
    """
    with stage(server, workers) as ready:
        already = ready.completed(function)
        before = _cost(ready)
        begun = time.perf_counter()
        ready.send(function, runs)
        asked = ready.watch(function, already + runs)
        seconds = time.perf_counter() - begun
        after = _cost(ready)
    steps, cores = runs * STEPS, os.cpu_count() or 1
    return {
        "steps_per_s": steps / seconds,
        "seconds": seconds,
        "commands": (after.commands - before.commands - asked) / steps,
        "evalsha": (after.evalsha - before.evalsha) / steps,
        "round_trips": (after.reads - before.reads - asked) / steps,
        "bytes": (after.bytes - before.bytes) / steps,
        "redis_us": (after.redis_s - before.redis_s) / steps * 1e6,
        "redis_share": (after.redis_s - before.redis_s) / seconds,
        "worker_us": (after.workers_s - before.workers_s) / steps * 1e6,
        "others_us": (after.others_s - before.others_s) / steps * 1e6,
        "foreign_share": max(0.0, after.foreign_s - before.foreign_s) / seconds / cores,
    }


def _cost(ready: Stage) -> Cost:
    called = calls(ready.redis)
    stats = info(ready.redis, "stats", "cpu")
    received, sent, reads, user, system = (stats[name] for name in _STATS)
    workers_s, others_s = cpu_s(ready.workers), cpu_s(ready.others)
    ours_s = user + system + workers_s + others_s + time.process_time()
    return Cost(
        commands=sum(called.values()),
        evalsha=called.get("evalsha", 0),
        bytes=received + sent,
        reads=reads,
        redis_s=user + system,
        workers_s=workers_s,
        others_s=others_s,
        foreign_s=machine_s() - ours_s,
    )
