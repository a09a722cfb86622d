"""Redis's time, as a worker knows it between beats: no wall clock of a host is ever used."""

from __future__ import annotations

import math
import time
from typing import Final

_DRIFT_MS: Final = 0.1
"""How much less sure the clock grows with each reading that it does not take."""


class Clock:
    """Milliseconds since the epoch by Redis's clock, carried on by the monotonic clock.

    A reading is true of some moment between asking and being answered; the surest one is kept
    (Cristian's rule), so that an answer that a busy worker read late sets no clock back.
    """

    __slots__ = ("_doubt_ms", "_offset_ms")

    def __init__(self, now_ms: int) -> None:
        self._doubt_ms = math.inf
        self._offset_ms = 0.0
        self.set(now_ms, time.monotonic())
        self._doubt_ms = math.inf

    def set(self, now_ms: int, asked_s: float) -> None:
        """Take `now_ms`, just read from Redis; `asked_s` is when it was asked for (monotonic)."""
        answered_s = time.monotonic()
        doubt_ms = (answered_s - asked_s) * 500 + 0.5
        offset_ms = now_ms + 0.5 - (asked_s + answered_s) * 500
        jumped = abs(offset_ms - self._offset_ms) > doubt_ms + self._doubt_ms
        if jumped or doubt_ms <= self._doubt_ms:
            self._offset_ms, self._doubt_ms = offset_ms, doubt_ms
        else:
            self._doubt_ms += _DRIFT_MS

    def now_ms(self) -> int:
        """Return Redis's time."""
        return int(time.monotonic() * 1000 + self._offset_ms)
