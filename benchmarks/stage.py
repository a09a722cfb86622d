"""The stage of one measurement: qflow's processes on the Redis at hand, started and idle."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qflow import App, Event
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.processes import Process, Qflow
from qflow.testing.server import RedisServer

FLOWS: Final = str(Path(__file__).with_name("flows"))
_PATIENCE_S: Final = 120.0
_POLL_S: Final = 0.005
_SETTLE_S: Final = 1.0


@dataclass(frozen=True)
class Stage:
    """What a measurement needs: a way to send, to watch, and the processes whose CPU counts."""

    app: App
    redis: Redis
    keys: Keys
    workers: tuple[Process, ...]
    others: tuple[Process, ...]

    def send(self, name: str, count: int = 1) -> None:
        """Send `count` events `bench/<name>`, in one call."""
        self.app.send([Event(f"bench/{name}", data={}) for _ in range(count)])

    def completed(self, function: str) -> int:
        """Return how many runs of a function are done."""
        return int(self.redis.call("ZCARD", self.keys.by_function(function, "completed")))

    def watch(self, function: str, count: int, pause_s: float = _POLL_S) -> int:
        """Wait until `count` runs of a function are done; return how often that was asked."""
        deadline = time.monotonic() + _PATIENCE_S
        asked = 1
        while (done := self.completed(function)) < count:
            if time.monotonic() > deadline:
                tails = "\n\n".join(process.tail() for process in (*self.workers, *self.others))
                raise SystemExit(f"{function}: {done} of {count} runs done, then no more\n{tails}")
            time.sleep(pause_s)
            asked += 1
        return asked

    def outputs(self, function: str) -> list[bytes]:
        """Return the outputs (JSON) of the runs of a function, oldest first."""
        key = self.keys.by_function(function, "completed")
        runs = [run.decode() for run in self.redis.call("ZRANGE", key, 0, -1)]
        return list(self.redis.pipeline([("HGET", self.keys.run(r), "output") for r in runs]))


@contextmanager
def stage(server: RedisServer, workers: int) -> Iterator[Stage]:
    """Empty Redis, start a router, a scheduler and `workers` workers, and wait until all idle."""
    redis = Redis(server.url)
    redis.call("FLUSHALL")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="qflow-bench-") as folder,
            Qflow(Path(folder), server.url) as qflow,
        ):
            others = (qflow.start("router"), qflow.start("scheduler"))
            started = tuple(qflow.start("worker", FLOWS) for _ in range(workers))
            app = App("bench", redis_url=server.url, namespace="qflow")
            ready = Stage(app, redis, Keys("qflow"), started, others)
            _warm(ready)
            yield ready
    finally:
        redis.close()


def _warm(ready: Stage) -> None:
    """Let each path run once: scripts get loaded, modules imported, connections opened."""
    for name in ("chain", "achain"):
        ready.send(name, 20)
        ready.watch(name, 20)
    time.sleep(_SETTLE_S)


def cpu_s(processes: Iterable[Process]) -> float:
    """Return the CPU seconds that processes used so far, with those that they started."""
    sessions = {process.pid for process in processes}
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[3]) in sessions:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_s() -> float:
    """Return the CPU seconds that this machine was busy so far, for whomever."""
    fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    user, nice, system, _idle, _wait, hard, soft, steal = map(int, fields)
    return (user + nice + system + hard + soft + steal) / os.sysconf("SC_CLK_TCK")


def info(redis: Redis, *sections: str) -> dict[str, Any]:
    """Return sections of Redis's INFO: numbers as floats, the rest as text."""
    found: dict[str, Any] = {}
    for section in sections:
        for line in redis.call("INFO", section).decode().splitlines():
            name, colon, value = line.partition(":")
            if colon:
                found[name] = float(value) if value.replace(".", "", 1).isdigit() else value
    return found


def calls(redis: Redis) -> dict[str, int]:
    """Return how often each command was called, in scripts too."""
    found = {}
    for name, value in info(redis, "commandstats").items():
        fields = dict(part.split("=") for part in str(value).split(","))
        found[name.removeprefix("cmdstat_")] = int(fields["calls"])
    return found
