"""Time that passes only when a test says so, and what is to happen in it."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Callable

from qflow.engine.clock import Clock

Action = Callable[[], None]


class VirtualClock(Clock):
    """The time of a harness."""

    __slots__ = ("_now_ms",)

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self._now_ms = now_ms

    def move(self, now_ms: int) -> None:
        """Let it be `now_ms`."""
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the time of the harness."""
        return self._now_ms


class Agenda:
    """What is to happen, by its time; of one moment, jobs of runs last, and of these the ones that are the
    farthest `ahead` (ms) first; else first come first. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._items: list[tuple[int, float, int, Action]] = []

    def add(self, due_ms: int, action: Action, ahead: float = math.inf) -> None:
        """Let `action` happen at `due_ms`."""
        with self._lock:
            heapq.heappush(self._items, (due_ms, -ahead, next(self._numbers), action))

    def take(self, until_ms: int) -> tuple[int, Action] | None:
        """Take out what comes next, if it is due at `until_ms`, with its time."""
        with self._lock:
            if not self._items or self._items[0][0] > until_ms:
                return None
            due_ms, _, _, action = heapq.heappop(self._items)
        return due_ms, action
