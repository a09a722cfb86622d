"""Limits on executing steps: who holds a slot, who waits, and handing out what a deploy made free.

Slots are taken and freed inside the scripts that move runs (`slots.lua`, `serve.lua`); this is the view
of them, and the passes over all who wait when a limit or a gate that holds runs back has changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from qflow.store.keys import RQ, Keys
from qflow.store.redis import Redis
from qflow.store.script import Call, run

_PAGE: Final = 500

Numbers = Mapping[str, Sequence[int]]
"""Gates that hold runs back, by name, each with what it counts and measures by."""


def limits_of(flow: str) -> tuple[list[str], list[str]]:
    """Return the limits of a run's field `flow`: those that its steps are counted in, and the run itself."""
    steps, _, runs = flow.partition(";")
    return [each for each in steps.split(",") if each], [each for each in runs.split(",") if each]


def groups_of(flow: str) -> list[str]:
    """Return the groups in whose backlog a run may stand: before its first step, and before others."""
    steps, runs = limits_of(flow)
    return [",".join([*runs, *steps]), ",".join(steps)]


def serve(keys: Keys, limits: Sequence[str]) -> Call:
    """Queue those who wait for these limits, as far as there is room."""
    return Call("serve", (keys.rings,), (keys.ns, RQ, *limits))


def respace(keys: Keys, function: str, numbers: Numbers, runs: Sequence[str]) -> Call:
    """Let runs of a function that its gates hold back wait by these numbers."""
    return Call("respace", (keys.scheduled,), (keys.ns, function, json.dumps(numbers), *runs))


def respace_all(redis: Redis, keys: Keys, function: str, numbers: Numbers) -> int:
    """Let all that a function's gates hold back wait by these numbers, in the order in which they
    were to start; return how many had waited by others."""
    total = 0
    runs = [
        raw.decode() for raw in redis.call("ZRANGE", keys.by_function(function, "queued"), 0, -1)
    ]
    due: list[Any] = []
    for at in range(0, len(runs), _PAGE):
        page = runs[at : at + _PAGE]
        due += redis.pipeline([("HGET", keys.run(each), "due") for each in page])
    held = sorted((float(at), each) for at, each in zip(due, runs, strict=True) if at)
    for at in range(0, len(held), _PAGE):
        names = [each for _, each in held[at : at + _PAGE]]
        total += int(run(redis, respace(keys, function, numbers, names)))
    return total


def serve_all(redis: Redis, keys: Keys) -> int:
    """Queue whoever waits for a limit that has room; return how many were queued."""
    total = 0
    names = [raw.decode() for raw in redis.call("ZRANGE", keys.rings, 0, -1)]
    for at in range(0, len(names), _PAGE):
        while True:
            queued = int(run(redis, serve(keys, names[at : at + _PAGE])))
            total += queued
            if queued < 1000:
                break
    return total
