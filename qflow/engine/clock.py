"""Redis's time, as a worker knows it between beats: no wall clock of a host is ever used."""

from __future__ import annotations

import time


class Clock:
    """Milliseconds since the epoch by Redis's clock, carried on by the monotonic clock."""

    __slots__ = ("_offset_ms",)

    def __init__(self, now_ms: int) -> None:
        self._offset_ms = 0.0
        self.set(now_ms)

    def set(self, now_ms: int) -> None:
        """Take `now_ms`, just read from Redis."""
        self._offset_ms = now_ms - time.monotonic() * 1000

    def now_ms(self) -> int:
        """Return Redis's time."""
        return int(time.monotonic() * 1000 + self._offset_ms)
