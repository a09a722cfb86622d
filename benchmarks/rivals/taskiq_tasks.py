"""taskiq on a Redis stream, which acknowledges."""

from __future__ import annotations

import asyncio
import os

from taskiq_redis import RedisStreamBroker  # type: ignore[import-not-found]  # the peers' own

from benchmarks.rivals.record import done

broker = RedisStreamBroker(url=os.environ["BENCH_REDIS"])


async def _nothing() -> None:
    done()


nothing = broker.task(task_name="nothing")(_nothing)


def fill(count: int) -> None:
    async def send() -> None:
        await broker.startup()
        for _ in range(count):
            await nothing.kiq()
        await broker.shutdown()

    asyncio.run(send())
