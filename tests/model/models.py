"""Flow control in plain Python: what Redis has to agree with, written as simply as it can be said.

Each model takes events with the time (ms) at which they come and says what becomes of them. Times only
move on; `due` is what a scheduler does when its time has come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass
class RateLimit:
    """At most `limit` starts in any span of `per` ms."""

    limit: int
    per: int
    starts: dict[str, list[int]] = field(default_factory=dict)

    def send(self, event: Event, now: int) -> list[Started]:
        """An event comes."""
        recent = [at for at in self.starts.get(event.key, []) if at > now - self.per]
        if len(recent) >= self.limit:
            return []
        self.starts[event.key] = [*recent, now]
        return [Started(now, (event.n,))]

    def due(self, now: int) -> list[Started]:
        """Nothing waits."""
        return []


@dataclass
class Throttle:
    """One start every `per / limit` ms, `burst` at once after a quiet time; all start in the end."""

    limit: int
    per: int
    burst: int
    theoretical: dict[str, int] = field(default_factory=dict)
    waiting: list[Started] = field(default_factory=list)

    def send(self, event: Event, now: int) -> list[Started]:
        """An event comes."""
        space_us = -(-self.per * 1000 // self.limit)
        next_us = max(self.theoretical.get(event.key, 0), now * 1000)
        self.theoretical[event.key] = next_us + space_us
        start = -(-(next_us - (self.burst - 1) * space_us) // 1000)
        if start <= now:
            return [Started(now, (event.n,))]
        self.waiting.append(Started(start, (event.n,)))
        return []

    def due(self, now: int) -> list[Started]:
        """Those whose time has come."""
        due = sorted(each for each in self.waiting if each.at <= now)
        self.waiting = [each for each in self.waiting if each.at > now]
        return due


@dataclass
class Gathering:
    """A run that is to start at `at`."""

    first: int
    at: int
    ts: int
    events: list[int]


@dataclass
class Debounce:
    """One run for events that follow each other within `period` ms, at most `timeout` after the first."""

    period: int
    timeout: int
    open: dict[str, Gathering] = field(default_factory=dict)

    def send(self, event: Event, now: int) -> list[Started]:
        """An event comes."""
        found = self.open.get(event.key)
        if found is None:
            self.open[event.key] = Gathering(now, now + self.period, event.ts, [event.n])
        elif event.ts >= found.ts:
            found.at = now + self.period
            if self.timeout:
                found.at = min(found.at, found.first + self.timeout)
            found.ts, found.events = event.ts, [event.n]
        return []

    def due(self, now: int) -> list[Started]:
        """Those that nothing followed."""
        ready = {key: each for key, each in self.open.items() if each.at <= now}
        for key in ready:
            del self.open[key]
        return sorted(Started(each.at, tuple(each.events)) for each in ready.values())


@dataclass
class Batch:
    """One run for up to `size` events, `timeout` ms after the first at the latest."""

    size: int
    timeout: int
    open: dict[str, Gathering] = field(default_factory=dict)

    def send(self, event: Event, now: int) -> list[Started]:
        """An event comes."""
        found = self.open.get(event.key)
        if found is None:
            self.open[event.key] = Gathering(now, now + self.timeout, 0, [event.n])
            return []
        found.events.append(event.n)
        if len(found.events) < self.size:
            return []
        del self.open[event.key]
        return [Started(now, tuple(found.events))]

    def due(self, now: int) -> list[Started]:
        """Those whose time is over."""
        ready = {key: each for key, each in self.open.items() if each.at <= now}
        for key in ready:
            del self.open[key]
        return sorted(Started(each.at, tuple(each.events)) for each in ready.values())


class Singleton:
    """One unfinished run a key: the first stays (skip), or the newest takes its place (cancel)."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.active: dict[str, int] = {}
        self.skipped: set[int] = set()
        self.cancelled: set[int] = set()

    def send(self, run: int, key: str) -> None:
        """An event comes."""
        before = self.active.get(key)
        if before is not None and self.mode == "skip":
            self.skipped.add(run)
            return
        if before is not None:
            self.cancelled.add(before)
        self.active[key] = run

    def end(self, run: int) -> None:
        """A run ends by itself."""
        self.active = {key: each for key, each in self.active.items() if each != run}


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
