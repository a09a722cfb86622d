"""qflow in one process: its services on threads against a real Redis, for tests of behaviour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import qflow
from qflow import logs, telemetry
from qflow.config import Settings
from qflow.core import codec
from qflow.core.event import Event
from qflow.core.status import ENDED
from qflow.services.service import Service
from qflow.services.supervisor import publish, router_services, scheduler_services, worker_options
from qflow.services.worker import Worker
from qflow.store.keys import Keys
from qflow.store.redis import Redis

T = TypeVar("T")

ROOT = str(Path(qflow.__file__).resolve().parents[1])
DEADLINE_S = 15.0
FAST = qflow.Backoff(base="20ms", factor=1, max="20ms", jitter=False)
"""Retries that a test can wait for."""


class Outcome(NamedTuple):
    """A run as Redis holds it."""

    id: str
    fields: dict[str, str]
    steps: dict[str, str]
    trace: list[dict[str, Any]]

    @property
    def status(self) -> str:
        """Its status."""
        return self.fields["status"]

    @property
    def output(self) -> Any:
        """What its handler returned."""
        assert self.status == "completed", self.fields
        return codec.decode(self.fields["output"])

    @property
    def error(self) -> dict[str, Any]:
        """What it failed with."""
        assert self.status == "failed", self.fields
        described: dict[str, Any] = json.loads(self.fields["error"])
        return described

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The entries of one kind in its trace."""
        return [entry for entry in self.trace if entry["t"] == kind]


class Running:
    """A service on a thread of its own."""

    def __init__(
        self, name: str, work: Callable[[threading.Event], Any], stop: threading.Event
    ) -> None:
        self.name = name
        self.stop = stop
        self.worker: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work(self.stop)
        except BaseException as error:  # reported where it is joined
            self.error = error

    def join(self, timeout_s: float = DEADLINE_S) -> Any:
        """Wait for its end; return what it returned."""
        self.thread.join(timeout_s)
        assert not self.thread.is_alive(), f"{self.name} did not stop"
        if self.error is not None:
            raise self.error
        return self.result


class World:
    """Router, scheduler, rescuer and workers of one namespace, all in this process."""

    def __init__(self, url: str, keys: Keys, folder: Path, **settings: Any) -> None:
        self.url = url
        self.keys = keys
        self.folder = folder
        self.redis = Redis(url)
        chosen = {"lease": "3s", "slots": 4, "grace": "5s", "time_slice": "1s", **settings}
        self.settings = Settings(redis_url=url, namespace=keys.ns, **chosen)
        self.app = self.make_app("tests")
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._running: list[Running] = []
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        telemetry.attach(self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop(self._running)
            for child in self._children:
                if child.poll() is None:
                    child.kill()
                child.wait()
        finally:
            telemetry.detach(self._note)
            self.redis.close()

    def _note(self, name: str, fields: Mapping[str, Any]) -> None:
        self.events.append((name, dict(fields)))

    def emitted(self, name: str) -> list[dict[str, Any]]:
        """Return the fields of every telemetry event of that name so far."""
        return [fields for told, fields in list(self.events) if told == name]

    def make_app(self, name: str) -> qflow.App:
        """Return an app whose events go to this world."""
        return qflow.App(name, redis_url=self.url, namespace=self.keys.ns)

    # -- services

    def serve(self, *, router: bool = True, scheduler: bool = True) -> None:
        """Start a router, and a scheduler with its rescuer and pruner."""
        if router:
            self.run_services(router_services(self.settings, *self._connect()))
        if scheduler:
            self.run_services(scheduler_services(self.settings, *self._connect()))

    def run_services(self, services: Iterable[Service]) -> list[Running]:
        """Start services, each on its thread."""
        started = [Running(service.kind, service.run, threading.Event()) for service in services]
        self._running += started
        return started

    def publish(self, *apps: qflow.App) -> None:
        """Publish the functions of apps (default: the world's own) as a starting worker does."""
        for app in apps or (self.app,):
            publish(self.redis, self.keys, app.functions.values(), f"{app.name}:workers")

    def worker(self, *apps: qflow.App, **settings: Any) -> Running:
        """Publish apps (default: the world's own) and start a worker of their functions."""
        apps = apps or (self.app,)
        self.publish(*apps)
        functions = {fn.id: fn for app in apps for fn in app.functions.values()}
        redis, keys = self._connect()
        chosen = Settings(**{**vars(self.settings), **settings})
        worker = Worker(redis, keys, functions, worker_options(chosen), logs.run_logger)
        running = Running(worker.name, worker.run, threading.Event())
        running.worker = worker
        self._running.append(running)
        self.until(
            lambda: self.redis.call("ZSCORE", keys.leases, worker.name), "the worker's lease"
        )
        return running

    def stop(self, running: Iterable[Running]) -> None:
        """Stop services and wait for their end."""
        running = list(running)
        for each in running:
            each.stop.set()
        deadline = time.monotonic() + DEADLINE_S
        while any(each.thread.is_alive() for each in running) and time.monotonic() < deadline:
            self._unblock()
            for each in running:
                each.thread.join(0.02)
        for each in running:
            each.join(0.1)
            if each in self._running:
                self._running.remove(each)

    def _unblock(self) -> None:
        """End waits in Redis at once, so that a stop takes no poll interval."""
        timer = self.keys.wake_timer
        self.redis.pipeline([("LPUSH", timer, "1"), ("EXPIRE", timer, 60)])
        mine = self.redis.call("CLIENT", "ID")
        for line in self.redis.call("CLIENT", "LIST").decode().splitlines():
            client = dict(part.partition("=")[::2] for part in line.split())
            if client["cmd"] in ("blpop", "xreadgroup") and int(client["id"]) != mine:
                self.redis.call("CLIENT", "UNBLOCK", client["id"])

    def _connect(self) -> tuple[Redis, Keys]:
        return Redis(self.url, 30.0), self.keys

    # -- processes

    def spawn_worker(
        self, source: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a worker process on a folder with one module of that source."""
        self.write_module(source)
        return self.spawn("run_worker", env)

    def write_module(self, source: str) -> None:
        """Write the folder of functions that worker processes load."""
        package = self.folder / "workers"
        package.mkdir(exist_ok=True)
        (package / "functions.py").write_text(textwrap.dedent(source))

    def spawn(self, what: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start one of the supervisor's processes; it ends with the test at the latest."""
        code = (
            "import sys; from qflow.config import load; from qflow.services import supervisor; "
            f"sys.exit(supervisor.{what}(load()))"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment(env),
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{what}-{len(self._children)}.log").open("wb"),
        )
        self._children.append(child)
        return child

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment in which processes find this world."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("QFLOW_")}
        return {
            **kept,
            "PYTHONPATH": ROOT,
            "QFLOW_REDIS_URL": self.url,
            "QFLOW_NAMESPACE": self.keys.ns,
            "QFLOW_LEASE": self.settings.lease,
            **(more or {}),
        }

    # -- events and runs

    def send(self, name: str, data: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Send one event; return its id."""
        return self.app.send(Event(name, dict(data or {}), **fields))

    def until(self, predicate: Callable[[], T], what: str = "", timeout_s: float = DEADLINE_S) -> T:
        """Return `predicate()` once it is true."""
        deadline = time.monotonic() + timeout_s
        while not (value := predicate()):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"waited {timeout_s:g} s for {what or predicate}: {self._scene()}"
                )
            time.sleep(0.005)
        return value

    def run_of(self, event: str, function: str) -> str:
        """Return the run that an event started for a function, once there is one."""
        key = self.keys.seen(function, event)
        found = self.until(lambda: self.redis.call("GET", key), f"a run of {function}")
        return str(found.decode())

    def look(self, run: str) -> Outcome:
        """Return a run as it is now."""
        fields, steps, trace = self.redis.pipeline(
            [
                ("HGETALL", self.keys.run(run)),
                ("HGETALL", self.keys.steps(run)),
                ("XRANGE", self.keys.trace(run), "-", "+"),
            ]
        )
        told = [json.loads(dict(zip(e[1][::2], e[1][1::2], strict=True))[b"j"]) for e in trace]
        return Outcome(run, _texts(fields), _texts(steps), told)

    def until_status(self, run: str, *statuses: str, timeout_s: float = DEADLINE_S) -> Outcome:
        """Return a run once it is in one of these states."""

        def there() -> bool:
            status = self.redis.call("HGET", self.keys.run(run), "status")
            return status is not None and status.decode() in statuses

        self.until(there, f"run {run} to be {' or '.join(statuses)}", timeout_s)
        return self.look(run)

    def ended(self, event: str, function: str, timeout_s: float = DEADLINE_S) -> Outcome:
        """Return the run that an event started for a function, once it has ended."""
        return self.until_status(self.run_of(event, function), *ENDED, timeout_s=timeout_s)

    def outcome(self, function: str, event: str, data: Mapping[str, Any] | None = None) -> Outcome:
        """Send an event and return the run of it, once it has ended."""
        return self.ended(self.send(event, data), function)

    def counter(self, name: str) -> int:
        """Return a total that scripts count."""
        return int(self.redis.call("HGET", self.keys.counters, name) or 0)

    def _scene(self) -> str:
        runs = [raw.decode() for raw in self.redis.call("ZRANGE", self.keys.runs, 0, 9)]
        seen = [self.look(run) for run in runs]
        failed = [fields for name, fields in self.events if name == "loop.failed"][-3:]
        logs_text = [path.read_text()[-1500:] for path in self.folder.glob("*.log")]
        return f"runs {seen}; loops {failed}; {' '.join(logs_text)}"


def _texts(flat: list[bytes]) -> dict[str, str]:
    texts = [item.decode("utf-8", "surrogatepass") for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
