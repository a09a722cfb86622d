"""Runs: pages of them, newest first, and finding one by a part of its id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qflow.core.ids import is_ulid
from qflow.core.status import RUN_STATUSES
from qflow.errors import UsageError
from qflow.read import snapshot
from qflow.read.nearest import NotFound, nearest
from qflow.read.snapshot import clock_ms, number, scored, text
from qflow.store.keys import Keys
from qflow.store.redis import Command, Redis

_FIELDS: Final = ("fn", "status", "created", "started", "ended", "error")
SEARCHED: Final = 100_000
"""The newest runs, among which one is looked for by a part of its id."""

_CHUNK: Final = 10_000
_RECENT: Final = 1000

Place = tuple[int, str]
"""Where a run stands in an index: its creation in ms, then its id."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as lists show it. Times in ms by Redis's clock, None for what has not happened."""

    id: str
    function: str
    status: str
    created: int
    started: int | None
    ended: int | None
    error: dict[str, Any] | None

    @property
    def duration_ms(self) -> int | None:
        """From start to end; None while the run has not ended, or where it never started."""
        return None if self.ended is None or self.started is None else self.ended - self.started

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "id": self.id,
            "function": self.function,
            "status": self.status,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "duration_ms": self.duration_ms,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Some runs, newest first; `cursor`, the last one's id, asks for the ones after, and is empty at
    the end."""

    rows: tuple[RunRow, ...]
    cursor: str


def page(
    redis: Redis,
    keys: Keys,
    *,
    function: str = "",
    statuses: Sequence[str] = (),
    cursor: str = "",
    limit: int = 50,
    since: int = 0,
) -> Page:
    """Return up to `limit` runs created at `since` (ms) or later, newest first, after `cursor`.

    Costs the same at any depth. A run whose record has expired is left out, so a page may be
    shorter than `limit`.
    """
    indexes = _indexes(keys, function, statuses)
    newest = _after(redis, indexes, _place(redis, keys, cursor), limit + 1)
    places = [place for place in newest if place[0] >= since]
    shown = places[:limit]
    more = shown[-1][1] if len(places) > limit else ""
    found = rows(redis, keys, [run for _, run in shown])
    wanted = set(statuses or RUN_STATUSES)
    return Page(tuple(row for row in found if row.status in wanted), more)


def created_between(
    redis: Redis,
    keys: Keys,
    *,
    function: str,
    statuses: Sequence[str],
    after: int | None,
    before: int | None,
) -> list[str]:
    """Return all runs in these states created between these moments, oldest first."""
    least = "-inf" if after is None else after
    most = "+inf" if before is None else f"({before}"
    commands: list[Command] = [
        ("ZRANGEBYSCORE", index, least, most, "WITHSCORES")
        for index in _indexes(keys, function, statuses)
    ]
    replies = snapshot.together(redis, commands)
    return [run for _, run in sorted({(ms, run) for each in replies for run, ms in scored(each)})]


def never_rerun(redis: Redis, keys: Keys, runs: Sequence[str]) -> list[str]:
    """Return those of these runs that were not run again yet."""
    again = redis.pipeline([("HGET", keys.run(run), "again") for run in runs]) if runs else []
    return [run for run, new in zip(runs, again, strict=True) if new is None]


def now_ms(redis: Redis) -> int:
    """Return Redis's time, which every time of a run is by."""
    return clock_ms(redis.call("TIME"))


def rows(redis: Redis, keys: Keys, runs: Sequence[str]) -> list[RunRow]:
    """Return the rows of these runs, without those whose record has expired."""
    if not runs:
        return []
    replies = redis.pipeline([("HMGET", keys.run(run), *_FIELDS) for run in runs])
    return [_row(run, fields) for run, fields in zip(runs, replies, strict=True) if fields[0]]


def _row(run: str, fields: list[bytes | None]) -> RunRow:
    function, status, created, started, ended, error = fields
    described = json.loads(error) if error else None
    if described:
        described.pop("traceback", None)  # `runs show` has it; a list of them would drown
    return RunRow(
        run,
        text(function),
        text(status),
        number(created) or 0,
        number(started),
        number(ended),
        described,
    )


def _indexes(keys: Keys, function: str, statuses: Sequence[str]) -> list[str]:
    if function:
        return [keys.by_function(function, status) for status in statuses or RUN_STATUSES]
    return [keys.by_status(status) for status in statuses] or [keys.runs]


def _place(redis: Redis, keys: Keys, cursor: str) -> Place | None:
    if not cursor:
        return None
    run = cursor.upper()
    score = redis.call("ZSCORE", keys.runs, run) if is_ulid(run) else None
    if score is None:
        raise UsageError(f"cursor {cursor!r} is no run that is listed; leave it out to begin anew")
    return int(float(score)), run


def _after(redis: Redis, indexes: list[str], place: Place | None, count: int) -> list[Place]:
    """Return the `count` newest places beyond `place` in any of the indexes."""
    commands: list[Command] = []
    for index in indexes:
        if place is None:
            commands.append(("ZREVRANGE", index, 0, count - 1, "WITHSCORES"))
            continue
        ms = place[0]  # of one millisecond are few, so that they are read whole
        commands.append(("ZREVRANGEBYSCORE", index, ms, ms, "WITHSCORES"))
        commands.append(
            ("ZREVRANGEBYSCORE", index, f"({ms}", "-inf", "WITHSCORES", "LIMIT", 0, count)
        )
    # One transaction: a run that changes its status meanwhile is in exactly one of the indexes.
    replies = snapshot.together(redis, commands)
    places = {(int(score), run) for reply in replies for run, score in scored(reply)}
    return sorted((p for p in places if place is None or p < place), reverse=True)[:count]


def find(redis: Redis, keys: Keys, wanted: str) -> str:
    """Return the id of the run whose id is, begins with or ends in `wanted`, in any case;
    a part is looked for among the newest 100,000.

    Raises NotFound, naming the nearest, where there is none, UsageError where there are several.
    """
    part = wanted.strip().upper()
    if redis.call("EXISTS", keys.run(part)):
        return part
    matches = _matching(redis, keys, part) if part.isalnum() else set()
    if len(matches) > 1:
        raise UsageError(f"{len(matches)} runs have ids like {wanted!r}: give more of the id")
    if matches:
        return matches.pop()
    recent = [text(raw) for raw in redis.call("ZREVRANGE", keys.runs, 0, _RECENT - 1)]
    near = nearest(part, recent)
    hint = f"did you mean {near}?" if near else "see `qflow runs list`"
    raise NotFound(f"no run {wanted!r} in namespace {keys.ns!r}; {hint}")


def _matching(redis: Redis, keys: Keys, part: str) -> set[str]:
    begins, ends = set[bytes](), set[bytes]()
    wanted = part.encode()
    for at in range(0, SEARCHED, _CHUNK):
        found = redis.call("ZREVRANGE", keys.runs, at, at + _CHUNK - 1)
        begins.update(run for run in found if run.startswith(wanted))
        ends.update(run for run in found if run.endswith(wanted))
        if len(found) < _CHUNK:
            break
    return {text(run) for run in begins or ends}
