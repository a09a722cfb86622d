"""Actions on many runs: how far they are, and what they would be about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from qflow.core.status import ENDED, UNFINISHED
from qflow.errors import LimitError, UsageError
from qflow.read import runs
from qflow.read.nearest import NotFound
from qflow.read.query import Query
from qflow.read.snapshot import pairs, text
from qflow.store.bulk import MOST
from qflow.store.keys import Keys
from qflow.store.redis import Redis

STATES: Final[dict[str, tuple[str, ...]]] = {
    "cancel": UNFINISHED, "rerun": ENDED, "retry": ("waiting",),
}  # fmt: skip
"""The states of runs that each kind of action is for."""

MEANT: Final[dict[str, tuple[str, ...]]] = {"rerun": ("failed", "cancelled", "skipped")}
"""The states that are meant where none is named, if not all of those."""


@dataclass(frozen=True, slots=True)
class BulkView:
    """An action: `done` of `total` runs are done, `skipped` were left out since there was nothing to do,
    `failed` could not be; `faults` has the last of those, each with why."""

    id: str
    kind: str
    what: str
    who: str
    rate: float
    state: str
    total: int
    done: int
    skipped: int
    failed: int
    created: int
    ended: int | None
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def left(self) -> int:
        """How many runs it has still to come to."""
        return self.total - self.done - self.skipped - self.failed

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        named = {name: getattr(self, name) for name in self.__slots__ if name != "faults"}
        return {**named, "left": self.left, "faults": [list(each) for each in self.faults]}


def find(redis: Redis, keys: Keys, bulk: str) -> BulkView:
    """Return an action; raise NotFound where there is none of that id (any more)."""
    flat, faults = redis.pipeline(
        [("HGETALL", keys.bulk(bulk)), ("LRANGE", keys.bulk_faults(bulk), 0, -1)]
    )
    if not flat:
        raise NotFound(f"no action {bulk!r} on many runs; they are kept for a week")
    split = (text(raw).partition(" ") for raw in reversed(faults))
    return _view(pairs(flat), tuple((run, why) for run, _, why in split))


def newest(redis: Redis, keys: Keys, limit: int = 50) -> list[BulkView]:
    """Return the newest actions, the newest first."""
    names = [text(raw) for raw in redis.call("ZREVRANGE", keys.bulks, 0, limit - 1)]
    found = redis.pipeline([("HGETALL", keys.bulk(name)) for name in names]) if names else []
    return [_view(pairs(flat)) for flat in found if flat]


def chosen(redis: Redis, keys: Keys, kind: str, asked: Query, before: int) -> list[str]:
    """Return the runs of a filter that an action of this kind is for, created before then, oldest first.

    Raises LimitError where they are more than one action may have.
    """
    allowed = STATES[kind]
    wanted = [status for status in asked.statuses or MEANT.get(kind, allowed) if status in allowed]
    if not wanted:
        raise UsageError(
            f"there is nothing to {kind}: it is for runs that are {', '.join(allowed)}"
        )
    found = runs.created_between(
        redis, keys, function=asked.function, statuses=wanted,
        after=asked.since_ms(before) or None, before=before,
    )  # fmt: skip
    if len(found) > MOST:
        raise LimitError(
            f"{len(found):,} runs, over the limit of {MOST:,} for one action: narrow it with since:"
        )
    return found


def _view(fields: dict[str, str], faults: tuple[tuple[str, str], ...] = ()) -> BulkView:
    numbers = ("total", "done", "skipped", "failed", "created")
    named: dict[str, Any] = {name: int(fields[name]) for name in numbers}
    named |= {name: fields[name] for name in ("id", "kind", "what", "who", "state")}
    ended = int(fields["ended"]) if "ended" in fields else None
    return BulkView(**named, rate=float(fields["rate"]), ended=ended, faults=faults)
