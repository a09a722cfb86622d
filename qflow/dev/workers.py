"""Which worker of `qflow dev` works: one at a time, while others start and leave."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from qflow.dev.console import Console
from qflow.dev.failure import summarise
from qflow.dev.inbox import Inbox
from qflow.dev.worker_process import WorkerProcess
from qflow.errors import RedisError
from qflow.store.keys import Keys
from qflow.store.redis import Redis

GRACE_MS: Final = 3000
"""What running steps get before a worker that must go gives them back."""

_POLL_S: Final = 0.02
_SILENT_S: Final = 3.0
_QUICK_S: Final = 1.5
_LONGEST_S: Final = GRACE_MS / 1000 + 3
_STEADY_S: Final = 5.0


class Workers:
    """Starts, replaces and stops the worker of one folder."""

    def __init__(
        self,
        folder: Path,
        environ: Callable[[], Mapping[str, str]],
        tend: Callable[[], None],
        redis: tuple[Redis, Keys],
        inbox: Inbox,
        console: Console,
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._tend = tend  # what a worker needs to come up, first of all Redis
        self._redis, self._keys = redis
        self._inbox = inbox
        self._console = console
        self._starting: WorkerProcess | None = None
        self._current: WorkerProcess | None = None
        self._leaving: list[tuple[WorkerProcess, float]] = []

    def spawn(self) -> None:
        """Start a process with the code as it is now; `bring_up` makes it the one that works."""
        self._starting = WorkerProcess(str(self._folder), self._environ(), self._relay)

    def bring_up(self) -> bool:
        """Wait until the new worker works, and let the old one go; False where it does not work.

        The old one goes on then. So it does where a signal or a further change came meanwhile. What
        the new one says is held back until `release`.
        """
        fresh = self._starting
        if fresh is None or not self._comes_up(fresh):
            return False
        self._starting, old, self._current = None, self._current, fresh
        if old is not None:
            old.drain(self._redis, self._keys)
            self._leaving.append((old, time.monotonic() + _LONGEST_S))
            self._await_exit(old, _QUICK_S)
        return True

    def mend(self) -> None:
        """Replace the worker if it died by itself."""
        dead = self._current
        if dead is None or dead.exit_code is None:
            return
        self._console.say(
            "worker",
            f"ended by itself (exit code {dead.exit_code}); starting another",
            logging.ERROR,
        )
        self._current = None
        dead.kill()  # what its steps left in its process group
        with suppress(RedisError):
            dead.bury(self._redis, self._keys)
        if time.monotonic() - dead.started < _STEADY_S:
            self._inbox.take_in(_QUICK_S)
        if not self._inbox.stopping() and not self._inbox.has_changes:
            self.spawn()
            self.bring_up()
            self.release()

    def release(self) -> None:
        """Pass on what the worker says, from its first line."""
        if self._current is not None:
            self._current.release()

    def clear_away(self) -> None:
        """Forget predecessors that have ended; end those that take too long."""
        for worker, deadline in self._leaving:
            if worker.exit_code is not None or time.monotonic() > deadline:
                worker.kill()
        self._leaving = [item for item in self._leaving if item[0].exit_code is None]

    def stop(self) -> None:
        """End every worker: within their grace, or at once where a second signal comes."""
        if self._starting is not None:
            self._starting.kill()
        workers = [worker for worker, _ in self._leaving]
        if self._current is not None:
            self._current.drain(self._redis, self._keys)
            workers.append(self._current)
        for worker in workers:
            if not self._await_exit(worker, _QUICK_S):
                self._console.say("dev", "waiting for running steps; Ctrl-C again ends them")
                self._await_exit(worker, _LONGEST_S)
            worker.kill()
        self._starting, self._current, self._leaving = None, None, []

    def _comes_up(self, fresh: WorkerProcess) -> bool:
        released = False
        while fresh.exit_code is None and not self._inbox.stopping():
            if self._inbox.has_changes:
                break  # the code it was made for is gone
            if not released and time.monotonic() - fresh.started > _SILENT_S:
                fresh.release()  # slow to import, or stuck: let it be seen
                released = True
            with suppress(RedisError):
                if fresh.ready(self._redis, self._keys):
                    return True
            self._inbox.take_in(_POLL_S)
            self._tend()
        if fresh.exit_code is not None:
            self._explain(fresh, fresh.exit_code)
        fresh.kill()
        self._starting = None
        return False

    def _explain(self, failed: WorkerProcess, exit_code: int) -> None:
        reason, lines = summarise(failed.last_words(), exit_code, self._folder.parent)
        self._console.say("worker", f"cannot start: {reason}", logging.ERROR)
        self._console.show([f"         | {line}" for line in lines])
        running = "the functions as they were go on" if self._current else "nothing runs until then"
        self._console.say("dev", f"mend it and save: {self._folder.name} is watched; {running}")

    def _await_exit(self, worker: WorkerProcess, seconds: float) -> bool:
        """Wait for a worker to end; a second signal ends the wait."""
        deadline = time.monotonic() + seconds
        while worker.exit_code is None:
            if time.monotonic() > deadline or self._inbox.hurried:
                return False
            self._inbox.take_in(_POLL_S)
        return True

    def _relay(self, line: str) -> None:
        self._console.relay("worker", line)
