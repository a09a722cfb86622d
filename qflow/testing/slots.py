"""Slots of limits that count whole runs (`per="run"`), in memory: what `slots.lua` and `serve.lua` do.

Steps take no time here and one thing happens at a time, so a limit of steps holds nothing back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from qflow.testing.state import State


class Slots:
    """Who holds a slot of which limit, and who waits for one: groups of limits in turn, of each the oldest.

    A limit is `<id>=<value of its key>`, a group all limits of a run, with commas; a group that waits
    stands in the ring of one of its limits that is full. `granted` is told who has slots at last.
    """

    def __init__(self, most: Mapping[str, int], granted: Callable[[State], None]) -> None:
        self._most = most
        self._granted = granted
        self._holders: dict[str, dict[str, State]] = {}
        self._waiting: dict[str, list[State]] = {}
        self._rings: dict[str, deque[str]] = {}

    def take(self, state: State) -> bool:
        """Return whether a run has its slots now; where not, it waits for them."""
        group = self._group(state)
        limits = _limits(group)
        if not limits or state.id in self._holders.get(limits[0], ()):
            return True
        full = self._full(limits)
        if not full and group not in self._waiting:
            self._hold(limits, state)
            return True
        if group not in self._waiting:
            self._rings.setdefault(full or limits[0], deque()).append(group)
        waiting = self._waiting.setdefault(group, [])
        waiting.append(state)
        waiting.sort(key=_age)
        return False

    def release(self, state: State) -> None:
        """Free all that a run that has ended holds, and its place among those who wait."""
        group = self._group(state)
        if state in self._waiting.get(group, ()):
            self._waiting[group].remove(state)
            self._close(group)
        limits = _limits(group)
        freed = [
            each for each in reversed(limits) if self._holders.get(each, {}).pop(state.id, None)
        ]
        self._serve(freed)

    def _serve(self, freed: list[str]) -> None:
        for limit in freed:  # it grows
            ring = self._rings.get(limit, deque())
            while ring and self._has_room(limit):
                group = ring.popleft()
                limits = _limits(group)
                other, again = self._elsewhere(limits, limit)
                if other:
                    self._rings.setdefault(other, deque()).append(group)
                    freed += [other] if again else []
                    continue
                state = self._waiting[group].pop(0)
                self._hold(limits, state)
                if self._waiting[group]:
                    self._rings.setdefault(self._full(limits) or limit, deque()).append(group)
                else:
                    del self._waiting[group]
                self._granted(state)

    def _elsewhere(self, limits: list[str], limit: str) -> tuple[str, bool]:
        """Return the ring in which a group is to take its turn instead, and whether to serve that one."""
        before = True
        for other in limits:
            if other == limit:
                before = False
            elif not self._has_room(other):
                return other, False
            elif before and self._rings.get(other):
                return other, True
        return "", False

    def _close(self, group: str) -> None:
        if not self._waiting[group]:
            del self._waiting[group]
            for limit in _limits(group):
                if group in self._rings.get(limit, ()):
                    self._rings[limit].remove(group)

    def _hold(self, limits: list[str], state: State) -> None:
        for limit in limits:
            self._holders.setdefault(limit, {})[state.id] = state

    def _has_room(self, limit: str) -> bool:
        most = self._most.get(limit.partition("=")[0])
        return most is None or len(self._holders.get(limit, ())) < most

    def _full(self, limits: list[str]) -> str:
        return next((limit for limit in limits if not self._has_room(limit)), "")

    def _group(self, state: State) -> str:
        return state.terms.flow.partition(";")[2]


def _limits(group: str) -> list[str]:
    return group.split(",") if group else []


def _age(state: State) -> tuple[int, int]:
    return state.terms.since_ms - state.terms.ahead, state.terms.place
