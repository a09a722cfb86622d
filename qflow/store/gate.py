"""Limits on executing steps: who holds a slot, who waits, and handing out what a deploy made free.

Slots are taken and freed inside the scripts that move runs (`slots.lua`, `serve.lua`); this is the view
of them, and the pass over all who wait when a limit has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qflow.store.keys import RQ, Keys
from qflow.store.redis import Redis
from qflow.store.script import Call, run

_PAGE: Final = 500


def serve(keys: Keys, limits: Sequence[str]) -> Call:
    """Queue those who wait for these limits, as far as there is room."""
    return Call("serve", (keys.rings,), (keys.ns, RQ, *limits))


def serve_all(redis: Redis, keys: Keys) -> int:
    """Queue whoever waits for a limit that has room; return how many were queued."""
    total = 0
    names = [raw.decode() for raw in redis.call("ZRANGE", keys.rings, 0, -1)]
    for at in range(0, len(names), _PAGE):
        while True:
            queued = int(run(redis, serve(keys, names[at : at + _PAGE])))
            total += queued
            if queued < 1000:
                break
    return total
