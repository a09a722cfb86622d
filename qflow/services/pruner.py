"""The pruner: retention of what no key's own expiry takes care of.

Does: drops index entries of runs whose keys expired, entries of RQ's registries whose job expired,
and events past their age that every router has handled. Runs beside the scheduler.
Options: retention of ended and failed runs and of events.
"""

from __future__ import annotations

from typing import Final

from qflow.core.status import ENDED
from qflow.services.service import Service
from qflow.store import directory, stream
from qflow.store.keys import Keys
from qflow.store.redis import Redis

_INTERVAL_S: Final = 30.0
_PAGE: Final = 500
_PAGES: Final = 200


class Pruner(Service):
    """Sweeps twice a minute, a hundred thousand runs of each index at a time."""

    kind = "pruner"

    def __init__(
        self, redis: Redis, keys: Keys, retention_ms: int, event_retention_ms: int
    ) -> None:
        super().__init__()
        self._redis = redis
        self._keys = keys
        self._retention_ms = retention_ms
        self._event_retention_ms = event_retention_ms
        self._places: dict[str, int] = {}

    def tick(self) -> float:
        """Sweep once."""
        seconds, _ = self._redis.call("TIME")
        now_ms = int(seconds) * 1000
        keys = self._keys
        self._redis.pipeline(
            [
                ("ZREMRANGEBYSCORE", keys.finished, "-inf", int(seconds)),
                ("ZREMRANGEBYSCORE", keys.failed, "-inf", int(seconds)),
            ]
        )
        if self._redis.call("EXISTS", keys.events):
            stream.trim(self._redis, keys, now_ms - self._event_retention_ms)
        _, specs = directory.functions(self._redis, keys)
        for status in ENDED:
            self._sweep(keys.by_status(status), now_ms)
            for function in specs:
                self._sweep(keys.by_function(function, status), now_ms)
        self._sweep(keys.runs, now_ms)
        return _INTERVAL_S

    def _sweep(self, index: str, now_ms: int) -> None:
        """Drop members of an index whose run is gone, oldest first.

        Those that are kept for longer are passed over; the next sweep goes on where this one ends.
        """
        oldest = now_ms - self._retention_ms
        at = self._places.get(index, 0)
        for _ in range(_PAGES):
            runs = self._redis.call("ZRANGEBYSCORE", index, "-inf", oldest, "LIMIT", at, _PAGE)
            if runs:
                asked = [("EXISTS", self._keys.run(run.decode())) for run in runs]
                alive = self._redis.pipeline(asked)
                gone = [run for run, exists in zip(runs, alive, strict=True) if not exists]
                if gone:
                    self._redis.call("ZREM", index, *gone)
                at += len(runs) - len(gone)
            if len(runs) < _PAGE:
                at = 0
                break
        self._places[index] = at
