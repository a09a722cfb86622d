"""Slots in plain Python: what Redis has to agree with, written as simply as it can be said.

The model of what an event passes is the harness that users test with (`qflow.testing`).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Event(NamedTuple):
    """An event: its number, the value of the key, its own time."""

    n: int
    key: str
    ts: int


class Started(NamedTuple):
    """A run that may begin from this moment on, and its events."""

    at: int
    events: tuple[int, ...]


class Slots:
    """Two limits, one for all and one for each key. Who waits for both is served in turn by key, the oldest
    of a key first; a key that is full itself waits apart, and joins at the end when it is not."""

    def __init__(self, total: int, each: int) -> None:
        self.total, self.each = total, each
        self.holders: dict[int, str] = {}
        self.waiting: dict[str, list[int]] = {}
        self.turn: deque[str] = deque()
        self.apart: set[str] = set()
        self.queue: list[int] = []

    def enter(self, run: int, key: str) -> None:
        """A job of a run is to be queued."""
        if not self.waiting.get(key) and self._free(key) and len(self.holders) < self.total:
            self._queue(run, key)
            return
        self._wait(run, key)

    def end(self, run: int) -> None:
        """A step ends, and its run does not go on at once."""
        key = self.holders.pop(run)
        if key in self.apart:
            self.apart.discard(key)
            self.turn.append(key)
        self._serve()

    def hand_over(self, run: int) -> bool:
        """A step ends and the run's next begins; returns whether it keeps its slots."""
        key = self.holders[run]
        others = [each for each in self.turn if each != key]
        own = self.waiting.get(key)
        if not others and not (own and min(own) < run):
            return True
        self._wait(run, key)
        self.end(run)
        return False

    def _free(self, key: str) -> bool:
        return sum(held == key for held in self.holders.values()) < self.each

    def _queue(self, run: int, key: str) -> None:
        self.holders[run] = key
        self.queue.append(run)

    def _wait(self, run: int, key: str) -> None:
        if not self.waiting.get(key):
            self._park(key)
        self.waiting.setdefault(key, []).append(run)

    def _park(self, key: str) -> None:
        if len(self.holders) >= self.total or self._free(key):
            self.turn.append(key)
        else:
            self.apart.add(key)

    def _serve(self) -> None:
        while self.turn and len(self.holders) < self.total:
            key = self.turn.popleft()
            if not self._free(key):
                self.apart.add(key)
                continue
            oldest = min(self.waiting[key])
            self.waiting[key].remove(oldest)
            self._queue(oldest, key)
            if self.waiting[key]:
                self._park(key)
