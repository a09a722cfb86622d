"""Slots in plain Python: what Redis has to agree with, written as simply as it can be said.

The model of what an event passes is the harness that users test with (`qflow.testing`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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


class Member(NamedTuple):
    """Who has or wants slots: a run, the older the lower, or an open step of it, by its hash."""

    run: int
    step: str = ""


class Slots:
    """Two limits, one for all and one for each key. Who waits for both is served in turn by key, the oldest
    of a key first; a key that is full itself waits apart, and joins at the end when it is not.

    Open steps are counted like runs; those of an older run come before a newer run. A run whose steps are
    open is suspended; the first that is settled wakes it.
    """

    def __init__(self, total: int, each: int) -> None:
        self.total, self.each = total, each
        self.holders: dict[Member, str] = {}
        self.waiting: dict[str, list[Member]] = {}
        self.turn: deque[str] = deque()
        self.apart: set[str] = set()
        self.queue: list[Member] = []
        self.suspended: dict[int, str] = {}

    def enter(self, member: Member, key: str) -> None:
        """A job is to be queued."""
        if not self.waiting.get(key) and self._free(key) and len(self.holders) < self.total:
            self._queue(member, key)
            return
        self._wait(member, key)

    def fork(self, run: int, steps: Sequence[str]) -> None:
        """A run opens steps and lets go: they take their places before its slots are free."""
        self.suspended[run] = key = self.holders[Member(run)]
        for step in steps:
            self.enter(Member(run, step), key)
        self.end(Member(run))

    def settle(self, member: Member) -> None:
        """An open step ends: its run goes on where it is suspended."""
        key = self.suspended.pop(member.run, None)
        if key is not None:
            self.enter(Member(member.run), key)
        self.end(member)

    def end(self, member: Member) -> None:
        """A step ends, and nothing takes its slots along."""
        key = self.holders.pop(member)
        if key in self.apart:
            self.apart.discard(key)
            self.turn.append(key)
        self._serve()

    def hand_over(self, run: int) -> bool:
        """A step ends and the run's next begins; returns whether it keeps its slots."""
        key = self.holders[Member(run)]
        others = [each for each in self.turn if each != key]
        own = self.waiting.get(key)
        if not others and not (own and min(own).run < run):
            return True
        self._wait(Member(run), key)
        self.end(Member(run))
        return False

    def _free(self, key: str) -> bool:
        return sum(held == key for held in self.holders.values()) < self.each

    def _queue(self, member: Member, key: str) -> None:
        self.holders[member] = key
        self.queue.append(member)

    def _wait(self, member: Member, key: str) -> None:
        if not self.waiting.get(key):
            self._park(key)
        self.waiting.setdefault(key, []).append(member)

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
