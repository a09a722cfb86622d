"""A throwaway Redis for tests: a real server on a free loopback port, which can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from qflow.dev.redis_process import end, free_port, launch, url_of
from qflow.errors import QflowError

_TRIES: Final = 10


class RedisServer:
    """A Redis with a folder of its own, from `with` to the end of its block.

    It keeps nothing on disk unless `appendonly`; `options` are further options of redis-server.
    """

    def __init__(self, *, appendonly: bool = False, options: Sequence[str] = ()) -> None:
        self._options = (
            *("--save", "", "--maxmemory-policy", "noeviction", "--aof-load-truncated", "yes"),
            *("--appendonly", "yes" if appendonly else "no", "--appendfsync", "everysec"),
            *options,
        )
        self._folder: Path | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(self.port)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    def start(self) -> None:
        """Start it, at the port it had before where there was one."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="qflow-redis-"))
        for _ in range(1 if self.port else _TRIES):
            port = self.port or free_port()
            self._child = launch(port, self._folder, self._folder / "redis.log", self._options)
            if self._child is not None:
                self.port = port
                return
        raise QflowError(f"no port for a Redis (last tried: {port}): end what listens there")

    def kill(self) -> None:
        """Kill it with -9: what it had not written is lost, and no connection is told."""
        child = self._running()
        child.kill()
        child.wait()
        self._child = None

    def restart(self) -> None:
        """Start it again at the same port, stopping it first where it runs; its file is loaded."""
        if self._child is not None:
            end(self._child)
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and get no answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop it and remove its folder."""
        child, self._child = self._child, None
        if child is not None:
            child.send_signal(signal.SIGCONT)  # a paused one would not hear of its end
            end(child)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise QflowError("this Redis is not running: call restart()")
        return self._child
