"""The steps of a function as its recent runs took them: how often, how long, how many tries failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qflow.read.timeline import entry
from qflow.store.keys import Keys
from qflow.store.redis import Redis

LOOKED_AT: Final = 30
"""Runs whose traces are read."""

_ENTRIES: Final = 1_000
_AGAIN: Final = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class StepPace:
    """A step, with all its repetitions (`id:1`, `id:2`) as one. `lengths` are of its tries, in ms,
    shortest first; of a wait, how long it took."""

    id: str
    is_wait: bool
    runs: int
    lengths: tuple[int, ...]
    failed: int

    @property
    def p50(self) -> int | None:
        """What half of its tries stayed within."""
        return _percentile(self.lengths, 0.50)

    @property
    def p95(self) -> int | None:
        """What 19 of 20 stayed within."""
        return _percentile(self.lengths, 0.95)

    @property
    def total(self) -> int:
        """The time of all of them."""
        return sum(self.lengths)


def step_paces(redis: Redis, keys: Keys, runs: Sequence[str]) -> list[StepPace]:
    """Return the steps of these runs, in the order in which they are first met; one round trip."""
    if not runs:
        return []
    commands = [("XRANGE", keys.trace(run), "-", "+", "COUNT", _ENTRIES) for run in runs]
    found: dict[str, _Tally] = {}
    for run, raw in zip(runs, redis.pipeline(commands), strict=True):
        waits: dict[str, int] = {}
        for told in map(entry, raw):
            step = _AGAIN.sub("", str(told.get("id", "")))
            if step and told["t"] in ("step", "retry", "sleep", "wait"):
                found.setdefault(step, _Tally()).hear(told, run, waits)
    return [tally.pace(step) for step, tally in found.items()]


class _Tally:
    """What is heard of one step."""

    def __init__(self) -> None:
        self._runs: set[str] = set()
        self._lengths: list[int] = []
        self._failed = 0
        self._waits = False

    def hear(self, told: dict[str, Any], run: str, waits: dict[str, int]) -> None:
        """Take in an entry of a run's trace; `waits` has the waits that began in that run."""
        self._runs.add(run)
        kind, id = told["t"], told["id"]
        if kind in ("sleep", "wait"):
            self._waits = True
            waits[id] = told["at"]
            return
        begun = waits.get(id) or told.get("s")
        ended = told.get("e") or told["at"]
        if begun:
            self._lengths.append(max(0, ended - begun))
        self._failed += kind == "retry" or not told.get("ok", True)

    def pace(self, step: str) -> StepPace:
        """Return what was heard."""
        lengths = tuple(sorted(self._lengths))
        return StepPace(step, self._waits, len(self._runs), lengths, self._failed)


def _percentile(lengths: Sequence[int], share: float) -> int | None:
    return lengths[min(len(lengths) - 1, int(share * len(lengths)))] if lengths else None
