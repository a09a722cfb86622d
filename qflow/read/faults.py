"""Failed runs grouped by what they failed with, so that a thousand of one kind are one line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from qflow.read.runs import RunRow, page
from qflow.store.keys import Keys
from qflow.store.redis import Redis

LOOKED_AT: Final = 1_000
"""The newest failed runs that are grouped."""

BUCKETS: Final = 24
"""Parts of the time looked at, for the trend of a group."""

_VARYING: Final = re.compile(
    r"0x[0-9a-f]+|[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(?:\.\d+)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Runs of one function that failed alike. `runs` has the newest first, `trend` counts by time."""

    fingerprint: str
    function: str
    name: str
    message: str
    runs: tuple[RunRow, ...]
    trend: tuple[int, ...]

    @property
    def last_seen(self) -> int:
        """When the newest of them ended."""
        return max(row.ended or row.created for row in self.runs)

    @property
    def first_seen(self) -> int:
        """When the oldest of them that is looked at ended."""
        return min(row.ended or row.created for row in self.runs)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "fingerprint": self.fingerprint,
            "function": self.function,
            "name": self.name,
            "message": self.message,
            "count": len(self.runs),
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "runs": [row.id for row in self.runs[:20]],
            "trend": list(self.trend),
        }


def fingerprint(row: RunRow) -> str:
    """Return what failed runs of one kind share: function, class of error, its text but for numbers."""
    error = row.error or {}
    shape = _VARYING.sub("#", str(error.get("message", "")))[:300]
    return sha256(f"{row.function}|{error.get('name')}|{shape}".encode()).hexdigest()[:12]


def faults(redis: Redis, keys: Keys, function: str = "") -> list[Fault]:
    """Return the groups of the newest failed runs, the one seen last first."""
    found = page(redis, keys, function=function, statuses=("failed",), limit=LOOKED_AT).rows
    groups: dict[str, list[RunRow]] = {}
    for row in found:
        groups.setdefault(fingerprint(row), []).append(row)
    if not found:
        return []
    moments = [row.ended or row.created for row in found]
    begin, span = min(moments), max(1, max(moments) - min(moments))
    made = [_fault(name, runs, begin, span) for name, runs in groups.items()]
    return sorted(made, key=lambda fault: fault.last_seen, reverse=True)


def _fault(name: str, runs: list[RunRow], begin: int, span: int) -> Fault:
    trend = [0] * BUCKETS
    for row in runs:
        at = (row.ended or row.created) - begin
        trend[min(BUCKETS - 1, at * BUCKETS // (span + 1))] += 1
    error = runs[0].error or {}
    return Fault(
        name, runs[0].function, str(error.get("name", "Error")), str(error.get("message", "")),
        tuple(runs), tuple(trend),
    )  # fmt: skip
