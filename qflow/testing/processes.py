"""Runs qflow's own commands as real processes, for tests that kill, pause and stop them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import qflow
from qflow.errors import RedisError
from qflow.store.keys import Keys
from qflow.store.redis import Redis

T = TypeVar("T")

_PAUSE_S: Final = 0.02
_TAIL: Final = 15
_ROOT: Final = str(Path(qflow.__file__).resolve().parents[1])


class Process:
    """One `python -m qflow …`, in a session of its own, its output in the file `log`."""

    def __init__(
        self, args: Sequence[str], folder: Path, env: Mapping[str, str], log: Path
    ) -> None:
        self.args = tuple(args)
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "qflow", *args],
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code (minus the signal that killed it), None while it runs."""
        return self._popen.poll()

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text("utf-8", "replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and what it started in its process group, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill it with -9 and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._popen.wait()

    def term(self, timeout: float = 30.0) -> int:
        """Ask it to end, with SIGTERM to it alone, and return its exit code."""
        self._popen.terminate()
        return self.wait(timeout)

    def pause(self) -> None:
        """Freeze it."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self.send(signal.SIGCONT)

    def wait(self, timeout: float = 30.0) -> int:
        """Return its exit code once it ends; AssertionError with its last lines if it goes on."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s: {self.tail()}") from None

    def tail(self) -> str:
        """Return its command, state and last lines, for messages."""
        state = "running" if self.exit_code is None else f"exit code {self.exit_code}"
        lines = self.output.splitlines()[-_TAIL:]
        return "\n".join([f"qflow {' '.join(self.args)} ({self.pid}, {state})", *lines])


class Qflow:
    """Starts qflow's commands in one folder, and ends all that still run at the end of its block.

    `url` is the Redis to use; where it is empty, commands find theirs as a user's would.
    """

    def __init__(self, folder: Path, url: str = "", env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("QFLOW_")}
        paths = [_ROOT, *filter(None, [inherited.get("PYTHONPATH", "")])]
        self.env = {**inherited, "PYTHONPATH": os.pathsep.join(paths), **(env or {})}
        if url:
            self.env["QFLOW_REDIS_URL"] = url
        self.processes: list[Process] = []
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def spawn(self, *args: str, env: Mapping[str, str] | None = None) -> Process:
        """Start `qflow args…` and return it at once."""
        log = self.folder / f"{args[0]}-{next(self._numbers)}.log"
        process = Process(args, self.folder, {**self.env, **(env or {})}, log)
        self.processes.append(process)
        return process

    def start(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 20.0
    ) -> Process:
        """Start `qflow worker|router|scheduler …` and wait until it does its work.

        A worker works when it holds a lease, a router or scheduler when it has made itself known.
        """
        process = self.spawn(*args, env=env)

        def works() -> bool:
            if process.exit_code is not None:
                raise AssertionError(f"ended instead of starting: {process.tail()}")
            return self._is_known(process)

        self.wait_for(works, timeout, f"qflow {' '.join(args)} to start")
        return process

    def run(
        self, *args: str, stdin: str = "", timeout: float = 30.0
    ) -> subprocess.CompletedProcess[str]:
        """Run `qflow args…` to its end and return what it said."""
        return subprocess.run(
            [sys.executable, "-m", "qflow", *args],
            cwd=self.folder,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def wait_for(self, predicate: Callable[[], T], timeout: float = 10.0, what: str = "") -> T:
        """Return `predicate()` once it is true; AssertionError with all logs' tails if never."""
        deadline = time.monotonic() + timeout
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() > deadline:
                tails = "\n\n".join(process.tail() for process in self.processes)
                raise AssertionError(f"waited {timeout:g} s for {what or 'a condition'}\n{tails}")
            time.sleep(_PAUSE_S)

    def stop(self, timeout: float = 10.0) -> None:
        """End all that run: with SIGTERM, and with -9 what does not obey."""
        running = [process for process in self.processes if process.exit_code is None]
        for process in running:
            process.resume()
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        for process in running:
            with suppress(AssertionError):
                process.wait(max(0.1, deadline - time.monotonic()))
            process.kill()  # and what is left of its group

    def _is_known(self, process: Process) -> bool:
        keys = Keys(self.env.get("QFLOW_NAMESPACE", "qflow"))
        redis = Redis(self.env["QFLOW_REDIS_URL"])
        kind, pid = process.args[0], str(process.pid)
        try:
            leases, holder, known, version, group = redis.pipeline(
                [
                    ("ZRANGE", keys.leases, 0, -1),
                    ("HGET", keys.leader, "holder"),
                    ("KEYS", keys.process(kind, "*")),
                    ("EXISTS", keys.functions_version),
                    ("EXISTS", keys.events),
                ]
            )
        except RedisError:
            return False
        finally:
            redis.close()
        if kind == "router" and group and not version:
            return True  # it waits for the first functions, quietly
        names = leases if kind == "worker" else [*known, holder or b""]
        return any(name.decode().split(".")[-2:-1] == [pid] for name in names)
