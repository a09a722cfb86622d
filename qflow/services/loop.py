"""The event loop that all async handlers of a process share, and the watch over who blocks it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from typing import Final

from qflow.telemetry import emit

_BLOCKED_S: Final = 1.0


class LoopThread:
    """An event loop on a thread of its own, started when it is first asked for."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._asked = 0.0
        self._answered = 0.0

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop."""
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    loop = asyncio.new_event_loop()
                    self._thread = threading.Thread(
                        target=_run, args=(loop,), name="loop", daemon=True
                    )
                    self._thread.start()
                    self._loop = loop
        return self._loop

    def report_if_blocked(self) -> None:
        """Emit loop.blocked, with the line, where the loop has not answered for a second."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        now = time.monotonic()
        if self._asked > self._answered:
            seconds = now - self._asked
            if seconds >= _BLOCKED_S:
                emit("loop.blocked", worker=self._owner, seconds=seconds, where=_where(thread))
            return
        self._asked = now
        loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._answered = time.monotonic()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop for good: asyncio lets a task's SystemExit through, after failing that task."""
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue
        return


def _where(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  # no public way
    if frame is None:
        return "?"
    summary = traceback.extract_stack(frame)[-1]
    return f"{summary.filename}:{summary.lineno} in {summary.name}"
