"""Entries of the event stream and of the rejected one, as they stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from qflow.errors import UsageError
from qflow.read.follow import entries
from qflow.read.nearest import NotFound
from qflow.read.snapshot import text
from qflow.store.redis import Redis

_CHUNK: Final = 500
_SEARCHED: Final = 20_000
_ENTRY: Final = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An entry: `data` is decoded where it can be, else text as it came; `reason` says why it was
    rejected, and `of` is then its entry on the event stream."""

    entry: str
    name: str
    id: str
    ts: str
    data: Any
    reason: str
    of: str

    @property
    def at(self) -> int:
        """When it arrived, in ms by Redis's clock."""
        return int(self.entry.partition("-")[0])

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        shown = {
            "entry": self.entry,
            "arrived": self.at,
            "name": self.name,
            "id": self.id or None,
            "ts": int(self.ts) if self.ts.isdigit() else self.ts or None,
            "data": self.data,
        }
        return {**shown, "reason": self.reason, "of": self.of} if self.reason else shown

    def as_event(self) -> dict[str, Any]:
        """Return the event as the router reads it: what it lacks comes from its entry."""
        ts = int(self.ts) if self.ts.isdigit() else self.at
        return {"name": self.name, "id": self.id or self.entry, "ts": ts, "data": self.data}


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some entries, newest first; `cursor` asks for the ones after, and is empty at the end."""

    rows: tuple[EventRow, ...]
    cursor: str


def page(
    redis: Redis, stream: str, *, cursor: str = "", limit: int = 50, name: str = ""
) -> EventPage:
    """Return up to `limit` entries before `cursor`, newest first; `name` may have wildcards.

    A name is looked for among at most 20,000 entries at a time.
    """
    before = _before(cursor)
    found: list[EventRow] = []
    for _ in range(_SEARCHED // _CHUNK):
        count = _CHUNK if name else limit + 1
        raw = redis.call("XREVRANGE", stream, before, "-", "COUNT", count)
        for item in raw:
            row = _row(item)
            if len(found) == limit:
                return EventPage(tuple(found), found[-1].entry)
            if not name or fnmatchcase(row.name, name):
                found.append(row)
        if len(raw) < count:
            return EventPage(tuple(found), "")
        last = text(raw[-1][0])
        before = f"({last}"
    return EventPage(tuple(found), last)


def find(redis: Redis, stream: str, event_id: str) -> EventRow:
    """Return the newest event of that id (or entry); it is looked for among 20,000.

    Raises NotFound where it is not there.
    """
    if is_entry(event_id):
        for item in redis.call("XRANGE", stream, event_id, event_id):
            return _row(item)
    before = "+"
    for _ in range(_SEARCHED // _CHUNK):
        raw = redis.call("XREVRANGE", stream, before, "-", "COUNT", _CHUNK)
        for row in map(_row, raw):
            if row.id == event_id:
                return row
        if len(raw) < _CHUNK:
            break
        before = f"({text(raw[-1][0])}"
    raise NotFound(
        f"no event {event_id!r} among the newest {_SEARCHED:,} of the stream; give it with --event"
    )


def is_entry(text: str) -> bool:
    """Return whether text has the form of a stream's entry."""
    return _ENTRY.fullmatch(text) is not None


def tail(redis: Redis, stream: str, name: str = "") -> Iterator[EventRow]:
    """Give the entries that arrive from this call on, without end; `name` may have wildcards."""
    arriving = map(_row, entries(redis, stream))
    return (row for row in arriving if not name or fnmatchcase(row.name, name))


def _before(cursor: str) -> str:
    ms, _, sequence = cursor.partition("-")
    if cursor and not (ms.isdigit() and (sequence or "0").isdigit()):
        raise UsageError(
            f"cursor {cursor!r} is no entry that a listing gave; leave it out to begin anew"
        )
    return f"({cursor}" if cursor else "+"


def _row(item: list[Any]) -> EventRow:
    entry, flat = item
    fields = dict(zip(flat[::2], flat[1::2], strict=True))

    def field(name: str) -> str:
        return text(fields.get(name.encode()))

    return EventRow(
        text(entry), field("name"), field("id"), field("ts"),
        _decoded(fields.get(b"data"), field("enc")), field("reason"), field("entry"),
    )  # fmt: skip


def _decoded(raw: bytes | None, encoding: str) -> Any:
    """Return the data of an entry, whatever somebody put there."""
    if raw is None:
        return None
    try:
        if encoding == "msgpack":
            import msgpack

            value = msgpack.unpackb(raw)
            json.dumps(value)
            return value
        return json.loads(raw)
    except Exception:  # noqa: BLE001  # what cannot be read is shown as it came: that is the point
        return text(raw)
