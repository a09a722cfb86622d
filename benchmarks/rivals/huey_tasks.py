"""Huey, with worker processes."""

from __future__ import annotations

import os

from huey import RedisHuey  # type: ignore[import-not-found]  # in the peers' environment

from benchmarks.rivals.record import done

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"])
nothing = huey.task()(done)


def fill(count: int) -> None:
    for _ in range(count):
        nothing()
