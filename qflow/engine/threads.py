"""Threads for blocking code of users: as many as it keeps busy, and none that Python waits for.

The event loop's own pool would not do: it is smaller than a worker's slots, a step that outlasts its
time-out keeps a place of it, and the interpreter waits for its threads at exit.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

_Task = tuple[Callable[[], Any], "Future[Any]"]


class Threads:
    """Runs functions on daemon threads, which wait for the next one when they are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._idle = 0

    def run(self, fn: Callable[[], Any]) -> Future[Any]:
        """Start `fn` in this context at once; return the future of what it gives."""
        future: Future[Any] = Future()
        bound = contextvars.copy_context().run
        with self._lock:
            grow = self._idle == 0
            self._idle -= not grow
        self._tasks.put((lambda: bound(fn), future))
        if grow:
            threading.Thread(target=self._work, name="step", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            fn, future = self._tasks.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn())
                except BaseException as error:  # noqa: BLE001  # handed to whoever waits
                    future.set_exception(error)
            del fn, future  # nothing of a user's is kept alive while idle
            with self._lock:
                self._idle += 1
