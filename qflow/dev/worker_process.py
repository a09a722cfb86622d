"""The worker of `qflow dev`: a child process, so that changed code starts afresh in a new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from qflow.errors import RedisError
from qflow.store.keys import Keys
from qflow.store.redis import Redis

_TAIL: Final = 200
"""Lines that are kept of what a worker said: enough for a traceback."""


class WorkerProcess:
    """One `qflow worker`. What it says is held back until `release`: it may fail to start."""

    def __init__(self, path: str, environ: Mapping[str, str], relay: Callable[[str], None]) -> None:
        self._relay = relay
        self._held: list[str] | None = []
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._lock = threading.Lock()
        self.started = time.monotonic()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "qflow", "worker", path],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # the terminal's Ctrl-C is for us; we tell it when to stop
        )
        self._reader = threading.Thread(target=self._read, name="output", daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._child.poll()

    def ready(self, redis: Redis, keys: Keys) -> bool:
        """Tell whether it works: its functions are published, and it holds a lease."""
        return bool(self._leases(redis, keys))

    def release(self) -> None:
        """Pass on what was held back, and from now on every line as it comes."""
        with self._lock:
            held, self._held = self._held, None
            for line in held or ():
                self._relay(line)

    def last_words(self) -> list[str]:
        """Return what it said last before it ended, whether it was held back or not."""
        self._reader.join(1.0)
        with self._lock:
            return list(self._tail)

    def drain(self, redis: Redis, keys: Keys) -> None:
        """Ask it to finish or give back what it does, and to end."""
        with suppress(ProcessLookupError):
            self._child.terminate()
        with suppress(RedisError):  # an idle one waits for such a hint, for a second at most
            redis.pipeline([("RPUSH", keys.wake, "1", "1"), ("EXPIRE", keys.wake, 60)])

    def kill(self) -> None:
        """End it now, with what its steps started in its process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._reader.join(1.0)

    def bury(self, redis: Redis, keys: Keys) -> None:
        """After its death, let its lease lapse now, so that its runs go on within a second."""
        for lease in self._leases(redis, keys):
            redis.call("ZADD", keys.leases, "XX", 1, lease)

    def _leases(self, redis: Redis, keys: Keys) -> list[bytes]:
        pid = str(self._child.pid).encode()
        names = redis.call("ZRANGE", keys.leases, 0, -1)
        return [name for name in names if name.split(b".")[-2:-1] == [pid]]

    def _read(self) -> None:
        output = self._child.stdout
        if output is None:
            return
        with suppress(OSError, ValueError):
            for raw in output:
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                with self._lock:
                    self._tail.append(line)
                    if self._held is None:
                        self._relay(line)
                    else:
                        self._held.append(line)
