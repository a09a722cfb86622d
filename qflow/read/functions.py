"""The functions that workers published, and how their runs stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from qflow.read import snapshot
from qflow.read.counts import as_counts, count_commands
from qflow.read.nearest import unknown_function
from qflow.read.snapshot import pairs, text
from qflow.store.keys import Keys
from qflow.store.redis import Redis


class FunctionView(NamedTuple):
    """A function as its workers published it, and its runs by status.

    `spec` is empty where no worker publishes it any more and only its runs are left.
    `paused` says what becomes of its events: skip, hold, or "" where it is not paused.
    """

    id: str
    spec: dict[str, Any]
    runs: dict[str, int]
    paused: str = ""

    @property
    def hidden(self) -> bool:
        """Whether it only handles another one's failures."""
        return "of" in self.spec

    @property
    def triggers(self) -> list[str]:
        """The triggers, as one reads them."""
        return [_trigger(trigger) for trigger in self.spec.get("triggers", ())]

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "id": self.id,
            "published": bool(self.spec),
            "paused": self.paused or None,
            **self.spec,
            "runs": self.runs,
        }


def _trigger(trigger: Mapping[str, Any]) -> str:
    if "event" in trigger:
        return (
            f"{trigger['event']} when {trigger['when']}" if "when" in trigger else trigger["event"]
        )
    zone = trigger.get("tz", "UTC")
    return f"cron {trigger.get('cron', '?')}" + ("" if zone == "UTC" else f" {zone}")


def function(redis: Redis, keys: Keys, function_id: str) -> FunctionView:
    """Return a function, in one round trip; raise NotFound where there is no trace of it."""
    spec, paused, *counted = snapshot.together(
        redis,
        [
            ("HGET", keys.functions, function_id),
            ("HGET", keys.paused, function_id),
            *count_commands(keys, function_id),
        ],
    )
    runs = as_counts(counted)
    if spec is None and not any(runs.values()):
        known = [text(raw) for raw in redis.call("HKEYS", keys.functions)]
        raise unknown_function(function_id, known, keys.ns)
    return FunctionView(function_id, json.loads(spec) if spec else {}, runs, text(paused))


def functions(redis: Redis, keys: Keys) -> list[FunctionView]:
    """Return every published function with its runs by status, by id."""
    specs = {
        name: json.loads(spec)
        for name, spec in pairs(redis.call("HGETALL", keys.functions)).items()
    }
    ids = sorted(specs)
    paused = pairs(redis.call("HGETALL", keys.paused))
    commands = [command for name in ids for command in count_commands(keys, name)]
    replies = redis.pipeline(commands) if commands else []
    width = len(commands) // len(ids) if ids else 0
    return [
        FunctionView(
            name, specs[name], as_counts(replies[i * width : (i + 1) * width]), paused.get(name, "")
        )
        for i, name in enumerate(ids)
    ]
