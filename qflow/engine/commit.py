"""Group commit: what the threads and tasks of a process write at one moment goes in one round trip.

Whoever finds nobody writing writes for all who have queued up meanwhile, then hands the lead to the
next; a thread alone pays no hand-off at all. Tasks of the event loop queue up likewise and are
written for by a thread of their own, so the loop never waits for Redis; it is woken once for all of
a batch. A second leader writes beside the first only for several at once: a call of a script costs
Redis and Python as much as three of the steps in it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Final

from qflow.store.redis import Redis
from qflow.store.script import Call, run_all

_LEADERS: Final = 2  # so that Redis works on one batch while Python prepares the next
_WORTHWHILE: Final = 8  # how many make it worthwhile to write beside another leader


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

    def settle(self) -> None:
        """Give the replies to the task that waits for them, on its event loop."""
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
            if not self._takes_lead():
                item.gate = threading.Lock()
                item.gate.acquire()
                self._queue.append(item)
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
            idle = self._takes_lead()
            self._queue.append(item)
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
        calls: Sequence[Call] = batch[0].calls if len(batch) == 1 else _calls(batch)
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
        try:
            _wake(batch)
        finally:  # the lead is never lost
            if heir is not None and heir.gate is not None:
                heir.gate.release()

    def _takes_lead(self) -> bool:
        """Tell whether a writer that comes now leads, and count it where it does."""
        waiting = len(self._queue) + 1
        if self._leaders and (self._leaders >= _LEADERS or waiting < _WORTHWHILE):
            return False
        self._leaders += 1
        return True

    def _next_leader(self) -> _Item | None:
        """Take the next leader out of the queue, if a thread waits there; count the lead as free
        where nobody waits, or too few to write beside another leader."""
        with self._mutex:
            if self._leaders > 1 and len(self._queue) < _WORTHWHILE:
                self._leaders -= 1
                return None
            for at, item in enumerate(self._queue):
                if item.gate is not None:
                    return self._queue.pop(at)
            if self._queue:
                self._errand.release()
            else:
                self._leaders -= 1
        return None


def _calls(batch: list[_Item]) -> list[Call]:
    return [call for item in batch for call in item.calls]


def _wake(batch: list[_Item]) -> None:
    """Wake the writers of a batch: threads at their gates, tasks on their event loop, all in one."""
    tasks = []
    for item in batch:
        if item.gate is not None:
            item.gate.release()
        elif item.loop is not None:
            tasks.append(item)
    for loop in {item.loop for item in tasks}:
        if loop is not None and not loop.is_closed():  # of a closed one nobody waits any more
            loop.call_soon_threadsafe(_settle, [item for item in tasks if item.loop is loop])


def _settle(items: list[_Item]) -> None:
    for item in items:
        item.settle()
