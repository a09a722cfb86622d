"""The private Redis of `qflow dev`, where none is configured.

Its data stay under `.qflow/` in the folder, append-only file on: runs go on after a restart.
`.qflow/redis.json` says where it listens, so that every command run in that folder finds it.

A `qflow dev` that is killed with -9 leaves its Redis behind; the next one adopts it. Which of two
owns the folder is decided by a lock on `.qflow/dev.lock`, which the kernel frees with its owner;
the file also keeps the port, so that the address stays the same from one start to the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from qflow.dev.redis_process import (
    end,
    find_server,
    free_port,
    identify,
    launch,
    never,
    url_of,
    version,
)
from qflow.discovery import RECORD
from qflow.errors import QflowError, RedisBusy, RedisError
from qflow.store.redis import Redis

_OPTIONS: Final = (
    "--appendonly", "yes", "--appendfsync", "everysec", "--aof-load-truncated", "yes",
    "--save", "", "--maxmemory-policy", "noeviction",
)  # fmt: skip
_TRIES: Final = 10


class Embedded:
    """The private Redis of one folder, from `start` to `stop`."""

    def __init__(self, folder: Path) -> None:
        self._home = folder.resolve() / Path(RECORD).parent
        self._data = self._home / "redis"
        self._record = folder.resolve() / RECORD
        self._lock: IO[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.pid = 0
        self.adopted = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(self._port)

    def start(self, cancelled: Callable[[], bool] = never) -> str:
        """Start the server, or adopt the one that a killed `qflow dev` left here; return its URL.

        Raises QflowError where another `qflow dev` runs in this folder, or no server starts.
        """
        try:
            self._prepare()
            port = self._take_lock()
            self._run(port or free_port(), cancelled)
            self._write_record()
        except OSError as error:
            self._release()
            raise QflowError(
                f"{self._home} cannot be used: {error.strerror or error}; run qflow dev in a "
                "folder of yours, or set QFLOW_REDIS_URL"
            ) from error
        except BaseException:
            self._release()
            raise
        return self.url

    def alive(self) -> bool:
        """Tell whether the server still runs, busy or not."""
        if self._child is not None:
            return self._child.poll() is None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def restart(self, cancelled: Callable[[], bool] = never) -> None:
        """Start it again after it died: the same data at the same address, which others hold.

        Raises QflowError where the address was taken meanwhile.
        """
        port = self._port
        self._run(port, cancelled)
        self._write_record()
        if self._port != port:
            raise QflowError(
                f"port {port} of Redis was taken by another program: start qflow dev again"
            )

    def stop(self) -> None:
        """Stop the server, its data written, and remove its record; do nothing where none runs."""
        if not self.pid:
            return
        with contextlib.suppress(OSError):
            self._record.unlink()
        try:
            if self._child is not None:
                end(self._child)
            else:
                self._end_adopted()
        finally:
            self._child, self.pid = None, 0
            self._release()

    def _prepare(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        ignore = self._home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    def _take_lock(self) -> int:
        """Become the folder's owner; return the port used last, 0 where there is none."""
        lock = (self._home / "dev.lock").open("a+")
        lock.seek(0)
        try:
            known = json.loads(lock.read() or "{}")
        except ValueError:  # torn by a crash: only a hint is lost
            known = {}
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise QflowError(
                f"qflow dev runs in {self._home.parent} already, as process "
                f"{known.get('owner', '?')}: stop that one, or use another folder"
            ) from None
        self._lock = lock
        return int(known.get("port", 0))

    def _run(self, port: int, cancelled: Callable[[], bool]) -> None:
        for _ in range(_TRIES):
            self._note(port)
            if self._adopts(port, cancelled) or self._launches(port, cancelled):
                self._port = port
                return
            if cancelled():
                raise QflowError("stopped while Redis was starting")
            port = free_port()
        raise QflowError(f"no free port for Redis after {_TRIES} tries; set QFLOW_REDIS_URL")

    def _note(self, port: int) -> None:
        """Keep the port before anything listens there: a kill at any moment leaves it findable."""
        if self._lock is not None:
            self._lock.seek(0)
            self._lock.truncate()
            json.dump({"owner": os.getpid(), "port": port}, self._lock)
            self._lock.flush()

    def _adopts(self, port: int, cancelled: Callable[[], bool]) -> bool:
        """Take over the Redis on `port` if its data are this folder's."""
        while not cancelled():
            try:
                pid, folder = identify(port)
            except RedisBusy:
                time.sleep(0.05)  # somebody's Redis, loading: whose shows then
                continue
            except RedisError:
                return False
            if Path(folder) != self._data:
                return False
            self.pid, self.adopted, self._child = pid, True, None
            return True
        return False

    def _launches(self, port: int, cancelled: Callable[[], bool]) -> bool:
        self._refuse_newer_data()
        child = launch(port, self._data, self._home / "redis.log", _OPTIONS, cancelled)
        if child is None:
            return False
        self.pid, self.adopted, self._child = child.pid, False, child
        return True

    def _refuse_newer_data(self) -> None:
        """Before 7.0 the append-only file had another place: an older server would begin empty."""
        command = find_server()
        if (self._data / "appendonlydir").is_dir() and (version(command[0]) or (7, 0)) < (7, 0):
            raise QflowError(
                f"{self._data} was written by Redis 7 or newer and {command[0]} is older: "
                f"install a newer Redis, or remove {self._data} to begin anew"
            )

    def _write_record(self) -> None:
        fresh = self._record.with_suffix(".new")
        fresh.write_text(
            json.dumps({"url": self.url, "pid": self.pid, "owner": os.getpid()}) + "\n"
        )
        fresh.replace(self._record)

    def _end_adopted(self) -> None:
        """Stop a server that is no child of ours: it is gone when its connection closes."""
        redis = Redis(self.url)
        with contextlib.suppress(RedisError):
            redis.call("SHUTDOWN")
        redis.close()
        with contextlib.suppress(RedisError, ProcessLookupError):
            if identify(self._port)[0] == self.pid:  # it would not
                os.kill(self.pid, signal.SIGKILL)

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()
