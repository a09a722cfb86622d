"""Functions that are paused, and what is held back for them."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from qflow.store.keys import RQ, Keys
from qflow.store.redis import Redis
from qflow.store.script import Call, run

How = Literal["skip", "hold"]
RESUMING: Final = "resuming"
UNPUBLISHED: Final = -1
_BATCH: Final = 2000


def pause(keys: Keys, function: str, how: str) -> Call:
    """Pause a function; new events are skipped or held."""
    return Call("pause", (keys.functions, keys.paused), (function, how))


class Resumed(NamedTuple):
    """What ending a pause did; `left` jobs are still to be queued."""

    was_paused: int
    queued: int
    left: int


def unpause(redis: Redis, keys: Keys, function: str) -> Resumed:
    """End a function's pause, and queue up to 2,000 of the jobs that it held back."""
    call = Call(
        "unpause",
        (keys.paused, keys.held(function), keys.queue, keys.wake),
        (keys.ns, RQ, function, _BATCH),
    )
    return Resumed(*run(redis, call))


def paused(redis: Redis, keys: Keys) -> dict[str, str]:
    """Return the functions that are paused: skip, hold, or resuming where jobs are still held."""
    flat = redis.call("HGETALL", keys.paused)
    return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
