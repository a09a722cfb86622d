"""What flow control costs, and whether it is fair: `python -m benchmarks.flow`.

The scripts are called as router and worker call them, without the processes around them, so that the
figures are of flow control alone, in seconds of CPU of Redis and this process, so that what else runs on
the machine counts little. `hand-over, live` has a real worker, and is in real time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import qflow
from benchmarks.stage import info, stage
from qflow.core.control import Control, control_spec
from qflow.core.event import to_text
from qflow.engine.starting import starting
from qflow.store import directory, lease, run, script, stream
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import Claimed, Held, Standing, Written
from qflow.store.stream import Keep
from qflow.testing.server import RedisServer

_TOGETHER: Final = 100
_KEEP: Final = Keep(500, 500)
_TENANT: Final = "event.data.tenant"
_NUMBERS: Final = itertools.count()
AIMS: Final = """
aims: admission ≤ 1.5 × an unlimited start; 10,000 keys drain within 1.5 × of one key; the cost of a
hand-over does not grow with who waits; Jain's index ≥ 0.95; a live hand-over ≤ 10 ms
"""


class Bench:
    """One function with flow control on an empty Redis."""

    def __init__(self, redis: Redis, control: Control) -> None:
        redis.call("FLUSHALL")
        self.redis, self.keys = redis, Keys("flow")
        spec = control_spec(control, "work", "bench", "the benchmark")
        self.spec = {"id": "work", "app": "bench", "version": "v1", "triggers": [], **spec}
        script.run(redis, directory.publish(self.keys, "bench:workers", [self.spec], ()))
        stream.ensure_group(redis, self.keys)
        who = lease.Identity("w1", "host", 1, "0", "3")
        pulse = lease.Pulse("idle", 0, 0, 0.0, ())
        script.run(redis, lease.beat(self.keys, who, 10**9, 90, pulse, first=True))

    def start(self, tenants: Sequence[str]) -> float:
        """Start a run for each of these tenants as a router does; return the seconds that took."""
        for _ in tenants:
            self.redis.call("XADD", self.keys.events, "*", "name", "go")
        entries = [
            entry
            for _ in range(0, len(tenants), _TOGETHER)
            for entry in stream.read(self.redis, self.keys, "r", _TOGETHER, 10)
        ]
        begun = self.cpu_s()
        now_ms = time.time_ns() // 1_000_000
        for at in range(0, len(tenants), _TOGETHER):
            calls = []
            for entry, tenant in zip(entries[at : at + _TOGETHER], tenants[at:], strict=False):
                event_id = f"e{next(_NUMBERS)}"
                text = to_text(event_id, "go", now_ms, "", json.dumps({"tenant": tenant}))
                made = starting(self.spec, text, now_ms)
                calls.append(
                    stream.start(self.keys, entry.id, "1", (event_id, text), _KEEP, [made])
                )
            replies = script.run_all(self.redis, calls)
            assert set(replies) <= {0, 1}, replies[:3]
        return self.cpu_s() - begun

    def cpu_s(self) -> float:
        """Return the CPU seconds that Redis and this process used so far."""
        used = info(self.redis, "cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"]) + time.process_time()

    def claim(self, count: int) -> list[Claimed]:
        """Take up to `count` jobs."""
        found = script.run(self.redis, run.claim(self.keys, "w1", count, 90))
        return [run.claimed(raw) for raw in found]

    def end(self, claimed: Claimed) -> None:
        """The handler returns: its slots go to whoever waits."""
        fields, lane = claimed.fields, claimed.lane
        held = Held(
            self.keys,
            claimed.run,
            "work",
            0,
            500,
            90,
            fields["created"],
            True,
            fields.get("flow", ""),
        )
        record = lane.next("e", "").record
        script.run(
            self.redis,
            run.advance(held, lane, Standing(lane.record), record, Written(), 500, "null"),
        )

    def drain(self, count: int) -> float:
        """Take and end `count` runs, one by one; return the seconds that took."""
        begun = self.cpu_s()
        for _ in range(count):
            (claimed,) = self.claim(1)
            self.end(claimed)
        return self.cpu_s() - begun


def admission(redis: Redis, count: int, rounds: int) -> dict[str, float]:
    """Return what a start costs with each kind of flow control, as a multiple of one without; of some
    rounds the least, since what else runs on the machine only adds to it."""
    kinds: dict[str, Control] = {
        "concurrency, free": {"concurrency": qflow.Concurrency(10**6, key=_TENANT)},
        "concurrency, full": {"concurrency": qflow.Concurrency(1, key=_TENANT)},
        "two limits": {"concurrency": [10**6, qflow.Concurrency(1, key=_TENANT)]},
        "throttle": {"throttle": qflow.Throttle(10, "1s", key=_TENANT)},
        "rate limit": {"rate_limit": qflow.RateLimit(10**5, "1h", key=_TENANT)},
        "debounce": {"debounce": qflow.Debounce("1h", key=_TENANT)},
        "batch": {"batch": qflow.Batch(100, "1h", key=_TENANT)},
        "singleton": {"singleton": qflow.Singleton(key="event.id")},
        "priority": {"priority": "event.data.tenant == 't1' ? 60 : 0"},
    }
    tenants = [f"t{n % 100}" for n in range(count)]
    found: dict[str, list[float]] = {name: [] for name in ("none", *kinds)}
    for _ in range(rounds):
        for name, seconds in found.items():
            bench = Bench(redis, kinds.get(name, {}))
            bench.start(tenants[:_TOGETHER])
            seconds.append(bench.start(tenants))
    least = {name: min(seconds) for name, seconds in found.items()}
    figures = {f"{name}: × a plain start": least[name] / least["none"] for name in kinds}
    return {"a plain start, µs": least["none"] / count * 1e6, **figures}


def many_keys(redis: Redis, count: int) -> dict[str, float]:
    """Return how long many keys with a run each take to drain, as a multiple of one with all."""
    took = {}
    limits: Control = {"concurrency": [1, qflow.Concurrency(1, key=_TENANT)]}
    for name, keys in (("one", 1), ("many", count)):
        bench = Bench(redis, limits)
        bench.start([f"t{n % keys}" for n in range(count)])
        took[name] = bench.drain(count)
    return {
        f"{count:,} keys with a run each: × one key": took["many"] / took["one"],
        "a run of them, µs": took["many"] / count * 1e6,
    }


def backlog(redis: Redis, count: int) -> dict[str, float]:
    """Return the cost of a hand-over while `count` wait under one key, as a multiple of that with few."""
    sample = min(1000, count // 10)
    bench = Bench(redis, {"concurrency": qflow.Concurrency(1, key=_TENANT)})
    bench.start(["t"] * 2 * sample)
    few = bench.drain(sample)
    bench = Bench(redis, {"concurrency": qflow.Concurrency(1, key=_TENANT)})
    bench.start(["t"] * count)
    many = bench.drain(sample)
    return {
        f"hand-over with {count:,} waiting: × with {sample:,}": many / few,
        "a hand-over, µs": many / sample * 1e6,
    }


def fairness(redis: Redis, steps: int) -> dict[str, float]:
    """Return Jain's index of the runs that 100 tenants get while all have some, one of them very many."""
    bench = Bench(redis, {"concurrency": [8, qflow.Concurrency(4, key=_TENANT)]})
    share = steps // 100
    tenants = ["t0"] * steps + [f"t{n}" for n in range(100)] * share
    random.Random(7).shuffle(tenants)  # noqa: S311  # an order, no secret
    bench.start(tenants)
    served: Counter[str] = Counter()
    for _ in range(steps // 2 // 8):
        for claimed in bench.claim(8):
            served[json.loads(claimed.fields["event"])["data"]["tenant"]] += 1
            bench.end(claimed)
    got = [served[f"t{n}"] for n in range(100)]
    return {
        "Jain's index, one noisy tenant of 100": sum(got) ** 2 / (100 * sum(n * n for n in got)),
        "runs of the noisy one : of another": served["t0"] / statistics.mean(got[1:]),
    }


def live(server: RedisServer, count: int) -> dict[str, float]:
    """Return the time from one run to the next under a limit of 1, with a real worker."""
    with stage(server, 1) as ready:
        ready.send("narrow", 5)
        ready.watch("narrow", 5)
        begun = time.perf_counter()
        ready.send("narrow", count)
        ready.watch("narrow", count + 5)
        return {"hand-over, live, ms": (time.perf_counter() - begun) / count * 1000}


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and save the figures where asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flow", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to see that all works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the figures")
    options = parser.parse_args(arguments)
    scale = 100 if options.quick else 1
    with RedisServer() as server:
        redis = Redis(server.url)
        figures: dict[str, Any] = {
            **(admission(redis, 100, 2) if options.quick else admission(redis, 1_000, 15)),
            **many_keys(redis, 10_000 // scale),
            **backlog(redis, 100_000 // scale),
            **fairness(redis, 20_000 // scale),
        }
        redis.call("FLUSHALL")
        redis.close()
        figures |= live(server, 1_000 // scale)
    for name, value in figures.items():
        print(f"{name:<48}{value:>10.2f}")
    print(AIMS.rstrip())
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
