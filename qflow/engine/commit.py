"""Group commit: what the threads and tasks of a process write at one moment goes in one round trip.

Whoever finds nobody writing writes for all who have queued up meanwhile, then hands the lead to the
next; a thread alone pays no hand-off at all. Tasks of the event loop queue up likewise and are
written for by a thread of their own, so the loop never waits for Redis.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Final

from qflow.store.redis import Redis
from qflow.store.script import Call, run_all

_LEADERS: Final = 2  # so that Redis works on one batch while Python prepares the next


class _Item:
    """Calls of one writer, the gate it waits at, and its replies."""

    __slots__ = ("calls", "error", "gate", "loop", "replies", "waiter")

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.gate: threading.Lock | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.waiter: asyncio.Future[list[Any]] | None = None
        self.replies: list[Any] | None = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        """Wake the writer: at its gate, or on its event loop."""
        if self.gate is not None:
            self.gate.release()
        elif self.loop is not None:
            self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        waiter = self.waiter
        if waiter is None or waiter.done():
            return
        if self.error is not None:
            waiter.set_exception(self.error)
        else:
            waiter.set_result(self.replies or [])


class Committer:
    """Writes calls of scripts to one Redis for all threads and tasks of a process."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._mutex = threading.Lock()
        self._queue: list[_Item] = []
        self._leaders = 0
        self._errand = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def submit(self, calls: Sequence[Call]) -> list[Any]:
        """Run calls in order and return their replies (errors in place); blocks this thread.

        Raises RedisError where Redis stays out of reach.
        """
        item = _Item(calls)
        with self._mutex:
            if self._leaders >= _LEADERS:
                item.gate = threading.Lock()
                item.gate.acquire()
                self._queue.append(item)
            else:
                self._leaders += 1
        if item.gate is not None:
            item.gate.acquire()
        if item.replies is None and item.error is None:
            self._lead([item])
        if item.error is not None:
            raise item.error
        return item.replies or []

    async def asubmit(self, calls: Sequence[Call]) -> list[Any]:
        """Do as `submit`, without blocking the event loop."""
        item = _Item(calls)
        item.loop = asyncio.get_running_loop()
        item.waiter = item.loop.create_future()
        with self._mutex:
            self._queue.append(item)
            idle = self._leaders < _LEADERS
            self._leaders += idle
            if self._thread is None:  # even where others lead: they may hand the lead on to it
                self._thread = threading.Thread(
                    target=self._run_errands, name="commit", daemon=True
                )
                self._thread.start()
        if idle:
            self._errand.release()
        return await item.waiter

    def _run_errands(self) -> None:
        while True:
            self._errand.acquire()
            self._lead([])

    def _lead(self, batch: list[_Item]) -> None:
        """Write `batch` and everything queued, then hand the lead on or lay it down."""
        with self._mutex:
            batch, self._queue = batch + self._queue, []
        calls = [call for item in batch for call in item.calls]
        try:
            replies = run_all(self.redis, calls)
        except BaseException as error:  # noqa: BLE001  # whatever it is, each waiter must hear of it
            for item in batch:
                item.error = error
        else:
            at = 0
            for item in batch:
                item.replies = replies[at : at + len(item.calls)]
                at += len(item.calls)
        heir = self._next_leader()
        for item in batch:
            item.resolve()
        if heir is not None and heir.gate is not None:
            heir.gate.release()

    def _next_leader(self) -> _Item | None:
        """Take the next leader out of the queue, if a thread waits there; count the lead as free
        where nobody waits."""
        with self._mutex:
            for at, item in enumerate(self._queue):
                if item.gate is not None:
                    return self._queue.pop(at)
            if self._queue:
                self._errand.release()
            else:
                self._leaders -= 1
        return None
