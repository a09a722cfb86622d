"""Finding what an id is of: a run by all or a part of its id, an event by its id or entry."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

from qflow.core.ids import is_ulid
from qflow.errors import QflowError
from qflow.read import events, runs
from qflow.read.snapshot import text
from qflow.store.keys import Keys
from qflow.store.redis import Redis

_LEAST: Final = 4
_MOST: Final = 128


class Found(NamedTuple):
    """What an id is of: `kind` run or event, its own `id`, and words for it."""

    kind: str
    id: str
    told: str


def find(redis: Redis, keys: Keys, wanted: str) -> list[Found]:
    """Return what has this id, runs first; nothing for what can be no id. Costs the same however old
    it is, but for a part of a run's id, which is looked for among the newest."""
    part = wanted.strip()
    if not _LEAST <= len(part) <= _MOST or any(char.isspace() for char in part):
        return []
    found: dict[str, str] = dict.fromkeys(
        _started_by(redis, keys, part), f"started by event {part}"
    )
    if part.isalnum():
        with suppress(QflowError):  # no run, or several: then the list of runs says so
            found[runs.find(redis, keys, part)] = ""
    rows = {row.id: row for row in runs.rows(redis, keys, sorted(found))}
    listed = [
        Found("run", run, " ".join(filter(None, (rows[run].function, rows[run].status, told))))
        for run, told in found.items()
        if run in rows
    ]
    return listed + _entry(redis, keys, part)


def _started_by(redis: Redis, keys: Keys, event: str) -> list[str]:
    functions = [text(raw) for raw in redis.call("HKEYS", keys.functions)]
    asked = [("GET", keys.seen(function, event)) for function in functions]
    started = redis.pipeline(asked) if asked else []
    return [text(run) for run in started if run and is_ulid(text(run))]


def _entry(redis: Redis, keys: Keys, part: str) -> list[Found]:
    if not events.is_entry(part):
        return []
    raw = redis.call("XRANGE", keys.events, part, part)
    return [Found("event", part, events.find(redis, keys.events, part).name)] if raw else []
