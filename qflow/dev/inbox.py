"""What happens to `qflow dev` from outside: signals and changed files, taken in by its main thread.

Signal handlers and the watcher only leave messages. The queue is one that a handler may use while
the main thread is in it; an Event or an ordinary Queue could deadlock there.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import Final

_SIGNAL: Final = "signal"


class Inbox:
    """Messages, and what they came to so far; read by the main thread only."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[str | list[str]] = queue.SimpleQueue()
        self._signals = 0
        self._changed: set[str] = set()

    def on_signal(self, _number: int, _frame: object) -> None:
        """Take note of a signal: the first asks to stop, the second to stop at once."""
        self._messages.put(_SIGNAL)

    def on_change(self, paths: list[str]) -> None:
        """Take note of changed files."""
        self._messages.put(paths)

    def take_in(self, wait_s: float) -> None:
        """Wait for a message, and take in all that have come."""
        with suppress(queue.Empty):
            message = self._messages.get(timeout=wait_s)
            while True:
                if isinstance(message, list):
                    self._changed.update(message)
                else:
                    self._signals += 1
                message = self._messages.get_nowait()

    def stopping(self) -> bool:
        """Tell whether a signal came."""
        self.take_in(0)
        return self._signals > 0

    @property
    def hurried(self) -> bool:
        """Whether a second signal came."""
        return self._signals > 1

    @property
    def has_changes(self) -> bool:
        """Whether files changed since they were last taken."""
        return bool(self._changed)

    def take_changed(self) -> list[str]:
        """Return the files that changed since the last call, in order."""
        changed, self._changed = sorted(self._changed), set()
        return changed
