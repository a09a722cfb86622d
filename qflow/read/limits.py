"""Concurrency limits as they stand: who holds slots, who waits, and what is held for nobody."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from qflow.core.status import UNFINISHED
from qflow.read.snapshot import pairs, text
from qflow.store.gate import groups_of, limits_of
from qflow.store.keys import Keys
from qflow.store.redis import Command, Redis

_PAGE: Final = 500
_HOLDING: Final = ("q", "s")
"""States of a lane or an open step in which its job has its slots."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """One value of a limit's key ("*" where it has none): steps that hold a slot (runs, where it is one
    `per="run"`), and those that wait."""

    key: str
    holders: int
    waiters: int

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"key": self.key, "holders": self.holders, "waiters": self.waiters}


@dataclass(frozen=True, slots=True)
class LimitView:
    """A limit: `of` is the function or app, `most` what it allows (None: it is not in force any more), and
    the values of its key that anybody holds or waits for, the busiest first."""

    id: str
    of: str
    most: int | None
    keys: tuple[KeyView, ...]

    @property
    def holders(self) -> int:
        """Slots that are held, of all keys."""
        return sum(each.holders for each in self.keys)

    @property
    def waiters(self) -> int:
        """Steps that wait, for all keys."""
        return sum(each.waiters for each in self.keys)

    def as_dict(self, most_keys: int) -> dict[str, Any]:
        """Return what `--json` prints, with the busiest keys."""
        return {
            "id": self.id,
            "of": self.of,
            "limit": self.most,
            "keys": len(self.keys),
            "holders": self.holders,
            "waiters": self.waiters,
            "busiest": [each.as_dict() for each in self.keys[:most_keys]],
        }


class Leak(NamedTuple):
    """A slot or a backlog place without a run that has it; fields as of the audit's findings."""

    run: str
    function: str
    status: str
    lane: str
    why: str


def limits(redis: Redis, keys: Keys) -> list[LimitView]:
    """Return every limit that is in force, held or waited for."""
    published = pairs(redis.call("HGETALL", keys.limits))
    holders = _sizes(redis, keys.slots(""))
    waiters: dict[str, int] = defaultdict(int)
    for group, count in _sizes(redis, keys.backlog("")).items():
        for limit in group.split(","):
            waiters[limit] += count
    found: dict[str, list[KeyView]] = {name: [] for name in published}
    for limit in sorted({*holders, *waiters}):
        name, _, key = limit.partition("=")
        view = KeyView(key, holders.get(limit, 0), waiters.get(limit, 0))
        found.setdefault(name, []).append(view)
    return [
        LimitView(
            name,
            name.split(":")[1],
            int(published[name]) if name in published else None,
            tuple(sorted(views, key=lambda each: (-each.waiters - each.holders, each.key))),
        )
        for name, views in sorted(found.items())
    ]


def leaks(redis: Redis, keys: Keys, pause_s: float) -> list[Leak]:
    """Return slots and backlog places that no run has, and groups that nobody will serve.

    The system is live: what seems wrong is looked at again after `pause_s`.
    """
    found = set(_leaks(redis, keys))
    if found:
        time.sleep(pause_s)
        found &= set(_leaks(redis, keys))
    return sorted(found)


def _leaks(redis: Redis, keys: Keys) -> Iterator[Leak]:
    for limit in _names(redis, keys.slots("")):
        for member in _members(redis, keys, keys.slots(limit)):
            steps, runs = limits_of(member.flow)
            holds = limit in steps and member.lane[:1] in _HOLDING
            whole = limit in runs and not member.hash
            if member.status not in UNFINISHED or not (holds or whole):
                yield member.leak(f"executes nothing, but holds a slot of {limit}")
    for group in _names(redis, keys.backlog("")):
        for member in _members(redis, keys, keys.backlog(group)):
            if member.lane[:1] != "b" or group not in groups_of(member.flow):
                yield member.leak(f"does not wait for a slot, but is in the backlog of {group}")
        rings: list[Command] = [("LPOS", keys.ring(limit), group) for limit in group.split(",")]
        if all(place is None for place in redis.pipeline(rings)):
            yield Leak("", group, "", "", "has a backlog that is in no ring: nobody serves it")


class _Member(NamedTuple):
    """Who has a place: a run, or an open step of it by its `hash`, whose record `lane` is then."""

    run: str
    hash: str
    function: str
    status: str
    lane: str
    flow: str

    def leak(self, why: str) -> Leak:
        return Leak(self.run, self.function, self.status, self.lane, why)


def _members(redis: Redis, keys: Keys, places: str) -> Iterator[_Member]:
    members = [text(raw).partition(":") for raw in redis.call("ZRANGE", places, 0, -1)]
    for at in range(0, len(members), _PAGE):
        page = members[at : at + _PAGE]
        asked: list[Command] = []
        for run, _, step in page:
            asked.append(("HMGET", keys.run(run), "fn", "status", "flow", "lane"))
            asked.append(("HGET", keys.open(run), step))
        replies = iter(redis.pipeline(asked))
        for run, _, step in page:
            function, status, flow, lane = map(text, next(replies))
            record = text(next(replies))
            yield _Member(run, step, function, status, record if step else lane, flow)


def _sizes(redis: Redis, prefix: str) -> dict[str, int]:
    names = _names(redis, prefix)
    counts: list[Any] = []
    for at in range(0, len(names), _PAGE):
        page: Sequence[str] = names[at : at + _PAGE]
        counts += redis.pipeline([("ZCARD", prefix + name) for name in page])
    return {name: count for name, count in zip(names, counts, strict=True) if count}


def _names(redis: Redis, prefix: str) -> list[str]:
    """Return what follows `prefix` in the keys that begin so."""
    found: set[str] = set()
    cursor: Any = b"0"
    while True:
        cursor, names = redis.call("SCAN", cursor, "MATCH", f"{_glob(prefix)}*", "COUNT", 1000)
        found.update(text(name)[len(prefix) :] for name in names)
        if cursor == b"0":
            return sorted(found)


def _glob(name: str) -> str:
    return "".join(f"\\{char}" if char in "[]*?\\^" else char for char in name)
