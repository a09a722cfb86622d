"""The event stream: append, read as a group, acknowledge by starting runs, reject, trim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from qflow.core.event import Event, encode_data
from qflow.errors import RedisRefused
from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.redis import Redis
from qflow.store.script import Call

GROUP: Final = "router"
_CHUNK: Final = 500
_KEPT_FIELDS: Final = 100
_KEPT_BYTES: Final = 64 * 1024


class Entry(NamedTuple):
    """An entry of the stream as it stands there."""

    id: str
    fields: dict[bytes, bytes]


class Start(NamedTuple):
    """A run to create; `terms` is JSON of what may end it from outside, "" for nothing."""

    function: str
    run: str
    version: str
    app: str
    terms: str = ""


class Keep(NamedTuple):
    """How long things are kept, in seconds: RQ's jobs, and runs that end without an error."""

    ttl_s: int
    ended_s: int


def append(
    redis: Redis,
    keys: Keys,
    events: Sequence[Event[Any]],
    encode: Callable[[Event[Any]], str] = encode_data,
) -> list[str]:
    """Append events (ids and times filled in) to the stream; return their ids.

    All are encoded before the first is sent, so a bad one leaves nothing half-sent.
    """
    commands = [("XADD", keys.events, "*", *fields(event, encode)) for event in events]
    for at in range(0, len(commands), _CHUNK):
        redis.pipeline(commands[at : at + _CHUNK])
    return [event.id for event in events]


def fields(event: Event[Any], encode: Callable[[Event[Any]], str] = encode_data) -> list[str]:
    """Return the fields of an event's entry; raises as `encode_data` does."""
    flat = ["name", event.name, "data", encode(event), "id", event.id, "ts", str(event.ts)]
    return [*flat, "v", event.v] if event.v else flat


def entries(redis: Redis, keys: Keys, ids: Sequence[str]) -> list[Entry]:
    """Return those of these entries that are still on the stream."""
    found = redis.pipeline([("XRANGE", keys.events, id_, id_) for id_ in ids]) if ids else []
    return [entry for reply in found for entry in _entries(reply)]


def since(redis: Redis, keys: Keys, after: str, count: int) -> list[Entry]:
    """Return up to `count` entries that came after the entry `after`."""
    return _entries(redis.call("XRANGE", keys.events, f"({after}", "+", "COUNT", count))


def ensure_group(redis: Redis, keys: Keys) -> None:
    """Create the routers' consumer group at the stream's beginning, unless it exists."""
    try:
        redis.call("XGROUP", "CREATE", keys.events, GROUP, "0", "MKSTREAM")
    except RedisRefused as error:
        if "BUSYGROUP" not in str(error):
            raise


def read(redis: Redis, keys: Keys, consumer: str, count: int, block_ms: int) -> list[Entry]:
    """Read up to `count` new entries, waiting up to `block_ms` for the first."""
    reply = redis.block(
        block_ms / 1000, "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count,
        "BLOCK", block_ms, "STREAMS", keys.events, ">",
    )  # fmt: skip
    return _entries(reply[0][1]) if reply else []


def unfinished(redis: Redis, keys: Keys, consumer: str, count: int) -> list[Entry]:
    """Return entries that this very consumer read before and never acknowledged."""
    reply = redis.call(
        "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "STREAMS", keys.events, "0"
    )
    return _entries(reply[0][1]) if reply else []


def reclaim(redis: Redis, keys: Keys, consumer: str, idle_ms: int, count: int) -> list[Entry]:
    """Take over entries that another router read `idle_ms` ago and never acknowledged."""
    reply = redis.call("XAUTOCLAIM", keys.events, GROUP, consumer, idle_ms, "0-0", "COUNT", count)
    return _entries(reply[1])


def start(
    keys: Keys, entry: str, version: str, event: tuple[str, str], keep: Keep, runs: Sequence[Start]
) -> Call:
    """Create the runs of one event (its id and text) and acknowledge its entry."""
    return Call(
        "start",
        (keys.events, keys.functions_version, keys.rq_queues, keys.wake, keys.scheduled),
        (
            keys.ns,
            RQ,
            GROUP,
            entry,
            version,
            *event,
            JOB_DATA,
            *keep,
            *(part for run in runs for part in run),
        ),
    )


def reject(keys: Keys, entry: Entry, reason: str) -> Call:
    """Move a malformed entry to the rejected stream, as it came but for what is far too large."""
    kept = list(entry.fields.items())[:_KEPT_FIELDS]
    flat = [part[:_KEPT_BYTES] for pair in kept for part in pair]
    left_out = len(entry.fields) - len(kept)
    if left_out:
        flat += [b"left_out", b"%d more fields" % left_out]
    return Call("reject", (keys.events, keys.rejected), (keys.ns, GROUP, entry.id, reason, *flat))


def trim(redis: Redis, keys: Keys, before_ms: int) -> int:
    """Drop entries older than `before_ms`, never one that is unread or unacknowledged.

    Returns how many were dropped.
    """
    floor = f"{before_ms}-0"
    groups = redis.call("XINFO", "GROUPS", keys.events)
    for flat in groups:
        group = {bytes(k).decode(): v for k, v in zip(flat[::2], flat[1::2], strict=True)}
        floor = min(floor, group["last-delivered-id"].decode(), key=_order)
        pending = redis.call("XPENDING", keys.events, group["name"])
        if pending[0]:
            floor = min(floor, pending[1].decode(), key=_order)
    return int(redis.call("XTRIM", keys.events, "MINID", "~", floor))


def _order(entry: str) -> tuple[int, int]:
    ms, _, sequence = entry.partition("-")
    return int(ms), int(sequence or 0)


def _entries(raw: list[Any]) -> list[Entry]:
    return [
        Entry(item[0].decode(), dict(zip(item[1][::2], item[1][1::2], strict=True)))
        for item in raw
        if item is not None and item[1] is not None  # deleted meanwhile: by 6.2, by later ones
    ]
