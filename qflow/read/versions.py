"""The versions of a function that workers published: when each was in force, its source, its runs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final, NamedTuple

from qflow.core.status import UNFINISHED
from qflow.read.nearest import NotFound, nearest
from qflow.read.snapshot import pairs, text
from qflow.store.keys import Keys
from qflow.store.redis import Redis

COUNTED: Final = 2_000
"""Unfinished runs of each status that are counted by version."""


class Version(NamedTuple):
    """A version: in force from `first` to `last` (ms; None: still), and how many unfinished runs began
    with it."""

    id: str
    first: int
    last: int | None
    spec: dict[str, Any]
    running: int

    @property
    def source(self) -> str:
        """The source of its handler, "" where its worker published none."""
        return str(self.spec.get("source") or "")

    def as_dict(self) -> dict[str, Any]:
        """Return what the API tells of it."""
        return {
            "version": self.id,
            "first": self.first,
            "last": self.last,
            "running": self.running,
            "source": self.source,
        }


def versions(redis: Redis, keys: Keys, function: str) -> list[Version]:
    """Return the versions of a function, the one in force first, then the newest."""
    kept = pairs(redis.call("HGETALL", keys.versions(function)))
    running = _running(redis, keys, function) if kept else Counter[str]()
    found = []
    for version, value in kept.items():
        first, last, spec = value.split("|", 2)
        ended = int(last) if last else None
        found.append(Version(version, int(first), ended, json.loads(spec), running[version]))
    return sorted(found, key=lambda each: (each.last is not None, -(each.last or 0), -each.first))


def version(found: list[Version], wanted: str) -> Version:
    """Return the version of that id; raise NotFound, naming a near one, where it is not kept."""
    for each in found:
        if each.id == wanted:
            return each
    near = nearest(wanted, [each.id for each in found])
    hint = f"; did you mean {near!r}?" if near else ": the newest 50 are kept"
    raise NotFound(f"version {wanted!r} of it is not kept{hint}")


def _running(redis: Redis, keys: Keys, function: str) -> Counter[str]:
    indexes = [
        ("ZREVRANGE", keys.by_function(function, status), 0, COUNTED - 1) for status in UNFINISHED
    ]
    runs = [text(raw) for reply in redis.pipeline(indexes) for raw in reply]
    asked = [("HGET", keys.run(run), "version") for run in runs]
    return Counter(text(raw) for raw in (redis.pipeline(asked) if asked else ()))
