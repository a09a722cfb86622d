"""Actions on many runs, kept in Redis so that they outlive the process that began them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from qflow.core.ids import ulid_ms
from qflow.store.keys import Keys
from qflow.store.redis import Command, Redis
from qflow.store.script import Call

KINDS: Final = ("cancel", "rerun", "retry")
MOST: Final = 100_000
_KEPT_S: Final = 7 * 86_400
_LISTED: Final = 100
_CHUNK: Final = 1_000


class Bulk(NamedTuple):
    """An action on many runs: who asked for what, of which runs (in words), so many a second."""

    id: str
    kind: str
    what: str
    who: str
    rate: float


def begin(redis: Redis, keys: Keys, bulk: Bulk, runs: Sequence[str]) -> None:
    """Begin an action: it is open, for any process to take, only when all its runs are written."""
    left = keys.bulk_left(bulk.id)
    commands: list[Command] = [("DEL", left)]
    for at in range(0, len(runs), _CHUNK):
        commands += [("RPUSH", left, *runs[at : at + _CHUNK]), ("EXPIRE", left, _KEPT_S)]
    created = ulid_ms(bulk.id)
    fields = {
        **bulk._asdict(), "total": len(runs), "done": 0, "skipped": 0, "failed": 0,
        "state": "running" if runs else "done", "created": created,
    }  # fmt: skip
    flat = [part for name, value in fields.items() for part in (name, str(value))]
    redis.pipeline(
        [
            *commands,
            ("HSET", keys.bulk(bulk.id), *flat),
            ("EXPIRE", keys.bulk(bulk.id), _KEPT_S),
            ("ZADD", keys.bulks, created, bulk.id),
            ("ZREMRANGEBYRANK", keys.bulks, 0, -_LISTED - 1),
            *([("SADD", keys.bulks_open, bulk.id)] if runs else ()),
        ]
    )


def take(keys: Keys, bulk: str, holder: str, lease_ms: int) -> Call:
    """Take an action in hand, or keep it; the reply is a token, and when another's hold may lapse."""
    return Call("bulk_take", (keys.bulk(bulk),), (holder, lease_ms))


class Step(NamedTuple):
    """What became of the next runs: the first of them, how many, how many done and left out."""

    first: str
    number: int
    done: int
    skipped: int
    faults: Sequence[str]


def step(keys: Keys, bulk: str, token: int, lease_ms: int, told: Step) -> Call:
    """Note what became of runs."""
    first, number, done, skipped, faults = told
    return Call(
        "bulk_step",
        (keys.bulk(bulk), keys.bulk_left(bulk), keys.bulk_faults(bulk), keys.bulks_open),
        (bulk, token, lease_ms, _KEPT_S, first, number, done, skipped, *faults),
    )


def stop(keys: Keys, bulk: str) -> Call:
    """Stop an action; what it has done stays done."""
    return Call("bulk_stop", (keys.bulk(bulk), keys.bulks_open), (bulk,))
