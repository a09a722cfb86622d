"""How a function's recent runs went: how long they took, how many failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from qflow.read import snapshot
from qflow.read.runs import RunRow, rows
from qflow.read.snapshot import scored
from qflow.store.keys import Keys
from qflow.store.redis import Redis

SAMPLE: Final = 40
"""Runs of each function that its pace is taken from."""

_ENDED: Final = ("completed", "failed")


class Pace(NamedTuple):
    """The newest runs that completed or failed, oldest first, and what they say."""

    recent: tuple[RunRow, ...]

    @property
    def failure_rate(self) -> float:
        """The share of them that failed, 0 where there are none."""
        failed = sum(row.status == "failed" for row in self.recent)
        return failed / len(self.recent) if self.recent else 0.0

    @property
    def p50(self) -> int | None:
        """What half of them stayed within, in ms from start to end."""
        return self._percentile(0.50)

    @property
    def p95(self) -> int | None:
        """What 19 of 20 of them stayed within."""
        return self._percentile(0.95)

    def _percentile(self, share: float) -> int | None:
        lengths = sorted(row.duration_ms for row in self.recent if row.duration_ms is not None)
        return lengths[min(len(lengths) - 1, int(share * len(lengths)))] if lengths else None


def paces(redis: Redis, keys: Keys, functions: Sequence[str]) -> dict[str, Pace]:
    """Return the pace of each function, in two round trips."""
    if not functions:
        return {}
    indexes = [keys.by_function(name, status) for name in functions for status in _ENDED]
    commands = [("ZREVRANGE", index, 0, SAMPLE - 1, "WITHSCORES") for index in indexes]
    replies = snapshot.together(redis, commands)
    width = len(_ENDED)
    newest = [_newest(replies[at * width : (at + 1) * width]) for at in range(len(functions))]
    found = {row.id: row for row in rows(redis, keys, [run for runs in newest for run in runs])}
    return {
        name: Pace(tuple(found[run] for run in reversed(runs) if run in found))
        for name, runs in zip(functions, newest, strict=True)
    }


def _newest(replies: Sequence[list[bytes]]) -> list[str]:
    places = [(score, run) for reply in replies for run, score in scored(reply)]
    return [run for _, run in sorted(places, reverse=True)[:SAMPLE]]
