"""Dramatiq, with its usual eight threads a process."""

from __future__ import annotations

import os

import dramatiq  # type: ignore[import-not-found]  # installed in the peers' environment
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]

from benchmarks.rivals.record import done

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS"]))
nothing = dramatiq.actor(done, actor_name="nothing")


def fill(count: int) -> None:
    for _ in range(count):
        nothing.send()
