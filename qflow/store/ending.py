"""Ends of runs that do not come from their handler: by hand, by an event, by a deadline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.redis import Command, Redis
from qflow.store.script import Call, run
from qflow.store.stream import Keep

CANCELLED: Final = 1
ENDED: Final = 0
UNKNOWN: Final = -1
_REMEMBERED_S: Final = 3600


class Cancel(NamedTuple):
    """A run to cancel and why; `request` tells a repeated call from another one."""

    run: str
    request: str
    reason: str


def cancel(keys: Keys, what: Cancel, keep: Keep) -> Call:
    """Cancel a run; see cancel.lua for the reply."""
    return Call(
        "cancel", (keys.run(what.run), keys.scheduled), (keys.ns, RQ, *what, *keep, JOB_DATA)
    )


class Overdue(NamedTuple):
    """The runs cancelled at their deadline, as (function, run), and when to look next (ms, or -1)."""

    next_ms: int
    cancelled: list[tuple[str, str]]


def overdue(redis: Redis, keys: Keys, token: int, limit: int, keep: Keep) -> Overdue:
    """Cancel up to `limit` runs whose deadline has come."""
    call = Call(
        "overdue",
        (keys.deadlines, keys.scheduled, keys.leader),
        (keys.ns, RQ, token, limit, *keep, JOB_DATA),
    )
    next_ms, *names = run(redis, call)
    texts = [name.decode() for name in names]
    return Overdue(next_ms, list(zip(texts[::2], texts[1::2], strict=True)))


class Match(NamedTuple):
    """A rule that an event falls under: it cancels runs whose own event came within `span_ms` before it
    (0: whenever). It is noted for runs that are created later unless a condition decides."""

    rule: str
    span_ms: int
    noted: bool


def place(entry: str) -> str:
    """Return an entry of the stream as one number: whole and 4,096th milliseconds."""
    ms, _, sequence = entry.partition("-")
    return f"{int(ms) + min(int(sequence or 0), 4095) / 4096:.12f}"


def matched(
    redis: Redis, keys: Keys, entry: str, reason: str, found: Sequence[Match]
) -> list[list[str]]:
    """Note an event under its rules, and return the runs that each of them cancels.

    Noted first: a run that another router creates meanwhile is either found here or finds the note.
    """
    at = place(entry)
    notes: list[Command] = [
        ("SET", keys.cancelled(each.rule), f"{at} {reason}", "EX", _REMEMBERED_S)
        for each in found
        if each.noted
    ]
    looks: list[Command] = [
        (
            "ZRANGEBYSCORE",
            keys.cancel(each.rule),
            f"{float(at) - each.span_ms:.12f}" if each.span_ms else "-inf",
            f"({at}",
        )
        for each in found
    ]
    replies = redis.pipeline([*notes, *looks])[len(notes) :]
    return [[run.decode() for run in reply] for reply in replies]
