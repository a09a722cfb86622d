"""What is there: published functions, workers with their leases, the leading scheduler."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from qflow.read import snapshot
from qflow.read.nearest import unknown_function
from qflow.read.snapshot import clock_ms, number, pairs, scored, text
from qflow.read.stats import as_counts, count_commands
from qflow.store.keys import Keys
from qflow.store.redis import Redis


@dataclass(frozen=True, slots=True)
class FunctionView:
    """A function as its workers published it, and its runs by status.

    `spec` is empty where no worker publishes it any more and only its runs are left.
    """

    id: str
    spec: dict[str, Any]
    runs: dict[str, int]

    @property
    def triggers(self) -> list[str]:
        """The triggers, as one reads them."""
        return [_trigger(trigger) for trigger in self.spec.get("triggers", ())]

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"id": self.id, "published": bool(self.spec), **self.spec, "runs": self.runs}


def _trigger(trigger: dict[str, Any]) -> str:
    if "event" in trigger:
        return str(trigger["event"])
    zone = trigger.get("tz", "UTC")
    return f"cron {trigger.get('cron', '?')}" + ("" if zone == "UTC" else f" {zone}")


def function(redis: Redis, keys: Keys, function_id: str) -> FunctionView:
    """Return a function, in one round trip; raise NotFound where there is no trace of it."""
    spec, *counted = snapshot.together(
        redis, [("HGET", keys.functions, function_id), *count_commands(keys, function_id)]
    )
    runs = as_counts(counted)
    if spec is None and not any(runs.values()):
        known = [text(raw) for raw in redis.call("HKEYS", keys.functions)]
        raise unknown_function(function_id, known, keys.ns)
    return FunctionView(function_id, json.loads(spec) if spec else {}, runs)


def functions(redis: Redis, keys: Keys) -> list[FunctionView]:
    """Return every published function with its runs by status, by id."""
    specs = {name: json.loads(spec) for name, spec in pairs(redis.call("HGETALL", keys.functions)).items()}
    ids = sorted(specs)
    commands = [command for name in ids for command in count_commands(keys, name)]
    replies = redis.pipeline(commands) if commands else []
    width = len(commands) // len(ids) if ids else 0
    return [
        FunctionView(name, specs[name], as_counts(replies[i * width : (i + 1) * width]))
        for i, name in enumerate(ids)
    ]


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that holds a lease, live or lapsed; its RQ record where there still is one."""

    name: str
    lease_ms: int
    live: bool
    runs: int
    host: str
    pid: int | None
    state: str
    started: str
    finished: int
    failed: int


@dataclass(frozen=True, slots=True)
class Leader:
    """The scheduler that leads, or led last. `left_ms` is what its lead still has, below 0 where it
    lapsed; `holder` is empty where no scheduler ever ran."""

    holder: str
    token: int
    left_ms: int

    @property
    def live(self) -> bool:
        """Whether somebody leads now."""
        return bool(self.holder) and self.left_ms > 0


def leases(redis: Redis, keys: Keys) -> dict[str, int]:
    """Return every worker with what is left of its lease in ms, below 0 where it lapsed."""
    time, flat = redis.pipeline([("TIME",), ("ZRANGE", keys.leases, 0, -1, "WITHSCORES")])
    now_ms = clock_ms(time)
    return {name: int(until) - now_ms for name, until in scored(flat)}


def workers(redis: Redis, keys: Keys) -> list[WorkerView]:
    """Return every worker that holds a lease, live or lapsed, by name."""
    left = leases(redis, keys)
    names = sorted(left)
    commands = [
        command
        for name in names
        for command in (("HGETALL", keys.rq_worker(name)), ("SCARD", keys.lanes(name)))
    ]
    replies = redis.pipeline(commands) if commands else []
    return [
        _worker(name, left[name], pairs(replies[2 * i]), int(replies[2 * i + 1]))
        for i, name in enumerate(names)
    ]


def _worker(name: str, left_ms: int, record: dict[str, str], runs: int) -> WorkerView:
    return WorkerView(
        name=name,
        lease_ms=left_ms,
        live=left_ms > 0,
        runs=runs,
        host=record.get("hostname", ""),
        pid=int(record["pid"]) if "pid" in record else None,
        state=record.get("state", ""),
        started=record.get("birth", ""),
        finished=int(record.get("successful_job_count", 0)),
        failed=int(record.get("failed_job_count", 0)),
    )


def leader(redis: Redis, keys: Keys) -> Leader:
    """Return the leading scheduler, or the last that led."""
    time, fields = redis.pipeline([("TIME",), ("HMGET", keys.leader, "holder", "token", "until")])
    until = number(fields[2]) or 0
    return Leader(text(fields[0]), number(fields[1]) or 0, until - clock_ms(time))
