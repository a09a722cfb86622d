"""What waits for events and signals, as routers, workers and senders of signals see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.redis import Redis
from qflow.store.script import Call


class Arrived(NamedTuple):
    """An event that has arrived: its entry on the stream, its id, its text."""

    entry: str
    event_id: str
    text: str


def deliver(keys: Keys, digest: str, event: Arrived, page: tuple[int, int], ttl_s: int) -> Call:
    """Note an event under a digest, and give it to a page (offset, limit) of those who wait there."""
    return Call(
        "deliver",
        (keys.waiters(digest), keys.recent(digest), keys.conditional(digest)),
        (keys.ns, RQ, *event, *page, JOB_DATA, ttl_s),
    )


def answer(keys: Keys, run: str, member: str, event: tuple[str, str], ttl_s: int) -> Call:
    """Give an event (its id and text) to one step that waits (`member`: run:hash)."""
    return Call("answer", (keys.open(run),), (keys.ns, RQ, member, *event, JOB_DATA, ttl_s))


def watch(keys: Keys, name: str, path: str) -> Call:
    """Have routers index the events of a name by a path."""
    return Call("watch", (keys.paths, keys.functions_version), (name, path))


def index(keys: Keys, digest: str, entries: Sequence[str]) -> Call:
    """Note entries that came before routers indexed by their path."""
    return Call("index", (keys.recent(digest),), (keys.ns, *entries))


def signal(keys: Keys, name: str, id: str, result: str, ttl_s: int) -> Call:
    """Give a signal to the step that waits for it, if one does."""
    return Call(
        "signal",
        (keys.signal(name), keys.signalled(id)),
        (keys.ns, RQ, result, JOB_DATA, ttl_s),
    )


def paths(redis: Redis, keys: Keys) -> dict[str, tuple[str, ...]]:
    """Return the paths by which anybody ever waited for the events of a name, by name."""
    flat = redis.call("HGETALL", keys.paths)
    return {
        flat[i].decode(): tuple(
            line.partition(" ")[2] for line in flat[i + 1].decode().splitlines()
        )
        for i in range(0, len(flat), 2)
    }
