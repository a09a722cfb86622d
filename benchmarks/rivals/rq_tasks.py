"""RQ, whose SimpleWorker runs jobs in its own process."""

from __future__ import annotations

import os

from benchmarks.rivals.record import done


def nothing() -> None:
    done()


def fill(count: int) -> None:
    from redis import Redis
    from rq import Queue

    queue = Queue("bench", connection=Redis.from_url(os.environ["BENCH_REDIS"]))
    queue.enqueue_many([Queue.prepare_data(nothing) for _ in range(count)])
