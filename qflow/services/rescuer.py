"""The rescuer: returns the jobs of workers whose lease lapsed to the queue, and jobs it lost.

Does: asks for lapsed leases, and hands each dead worker's jobs to others in one atomic script. Runs
beside the scheduler; several at once do no harm, since a rescue happens only once.
Emits: worker.died, job.requeued.
"""

from __future__ import annotations

import time
from typing import Final

from qflow import crashpoints
from qflow.services.service import Service
from qflow.store import lease, pause
from qflow.store.keys import Keys
from qflow.store.lost import Search, requeue, retime
from qflow.store.redis import Redis
from qflow.store.script import run
from qflow.telemetry import emit

_SEARCH_S: Final = 5.0
_QUICK: Final = 20_000
"""Queued jobs that are looked through in a search; where there are more, searches are further apart."""


class Rescuer(Service):
    """Looks for dead workers `lease_ms / 4` apart, a second at most."""

    kind = "rescuer"

    def __init__(self, redis: Redis, keys: Keys, ttl_s: int, lease_ms: int) -> None:
        super().__init__()
        self._redis = redis
        self._keys = keys
        self._ttl_s = ttl_s
        self._lease_s = lease_ms / 1000
        self._interval_s = min(1.0, lease_ms / 4000)
        self._last = 0.0
        self._spared_until = 0.0
        self._next_search = 0.0
        self._search = Search(redis, keys, ttl_s)

    def tick(self) -> float:
        """Rescue what dead workers held.

        After a gap in its own looks it waits a lease first: what kept it from Redis may have kept
        the workers too, and they are not dead for that.
        """
        seconds, micros = self._redis.call("TIME")
        now_s = time.monotonic()
        if self._last and now_s - self._last > self._interval_s + self._lease_s / 2:
            self._spared_until = now_s + self._lease_s
        self._last = now_s
        if now_s < self._spared_until:
            return self._interval_s
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        for worker in lease.lapsed(self._redis, self._keys, now_ms):
            crashpoints.reach("rescuer.before")
            returned = run(
                self._redis, lease.rescue(self._keys, worker, self._ttl_s, leaving=False)
            )
            crashpoints.reach("rescuer.after")
            if returned >= 0:
                emit("worker.died", worker=worker, returned=returned)
        if now_s >= self._next_search:
            self._return_lost(now_ms)
            self._next_search = now_s + _SEARCH_S * max(1.0, self._search.length / _QUICK)
            self._finish_resuming()
        return self._interval_s

    def _finish_resuming(self) -> None:
        """Queue what functions still hold back whose pause somebody began to end."""
        for function, how in pause.paused(self._redis, self._keys).items():
            while how == pause.RESUMING and pause.unpause(self._redis, self._keys, function).left:
                pass

    def _return_lost(self, now_ms: int) -> None:
        """Put back what the queue or the timers lost: qflow's own moves lose nothing, RQ's pop,
        rq-scheduler's listing and operators may."""
        for missing in self._search.page(now_ms - int(_SEARCH_S * 1000)):
            held = missing.held
            if run(self._redis, retime(missing) if missing.is_timer else requeue(missing)):
                emit("job.requeued", function=held.function, run=held.run)
