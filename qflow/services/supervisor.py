"""Composes processes: settings in, services out, signals to a clean stop."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from qflow.config import Settings
from qflow.discovery import redis_url
from qflow.engine.advance import LoggerFor
from qflow.engine.apply import Retention
from qflow.errors import QflowError
from qflow.services.loader import load
from qflow.services.pruner import Pruner
from qflow.services.rescuer import Rescuer
from qflow.services.router import Router
from qflow.services.service import Service
from qflow.services.worker import Options, Worker
from qflow.store import directory
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import run
from qflow.store.stream import Keep
from qflow.telemetry import attach, emit

_FOREVER_S: Final = 10.0**9
_GC_THRESHOLD: Final = 20_000  # Python's 700 spends 4 % of a busy worker looking for cycles
EXIT_WITH_PARENT: Final = "QFLOW_EXIT_WITH_PARENT"
DEV: Final = "QFLOW_DEV"
"""Set by `qflow dev` for its worker: a module that lacks a package is left out, not the end."""


def connect(settings: Settings, stop: threading.Event) -> tuple[Redis, Keys]:
    """Return the patient client of a service: it waits for Redis to come back, until `stop`."""
    return Redis(redis_url(settings), _FOREVER_S, stop), Keys(settings.namespace)


def router_services(settings: Settings, redis: Redis, keys: Keys) -> list[Service]:
    """Return what `qflow router` runs."""
    return [Router(redis, keys, Keep(*settings.kept_s), settings.ms("lease"))]


def scheduler_services(settings: Settings, redis: Redis, keys: Keys) -> list[Service]:
    """Return what `qflow scheduler` runs: timers and schedules, the rescuer, the pruner."""
    from qflow.services.scheduler import Scheduler  # rq-scheduler: 0.3 s that workers save

    ttl_s, lease_ms = settings.kept_s[0], settings.ms("lease")
    retention = min(settings.ms("retention"), settings.ms("retention_failed"))
    return [
        Scheduler(redis, keys, Keep(*settings.kept_s), lease_ms),
        Rescuer(redis, keys, ttl_s, lease_ms),
        Pruner(redis, keys, retention, settings.ms("event_retention")),
    ]


def run_router(settings: Settings) -> int:
    """Run a router until a signal; return the exit code."""
    return _run_services("router", settings, router_services)


def run_scheduler(settings: Settings) -> int:
    """Run a scheduler until a signal; return the exit code."""
    return _run_services("scheduler", settings, scheduler_services)


def run_worker(settings: Settings) -> int:
    """Run a worker (or several processes of it) until a signal; return the exit code."""
    if settings.processes > 1:
        return _run_processes(settings)
    stop = stop_on_signals()
    _instrument("worker", settings)
    functions, apps = load(settings.path, lenient=bool(os.environ.get(DEV)))
    redis, keys = connect(settings, stop)
    check_redis(redis)
    for app in apps:
        publish(
            redis,
            keys,
            app.functions.values(),
            f"{app.name}:{os.path.basename(os.path.abspath(settings.path))}",
        )
    worker = Worker(redis, keys, functions, worker_options(settings), logger_for())
    slots = worker.slots
    gc.freeze()  # what is loaded now lives as long as the process
    gc.set_threshold(_GC_THRESHOLD)
    _expose(settings, redis, keys, lambda: slots.count - slots.free)
    clean = worker.run(stop)
    sys.stdout.flush()
    sys.stderr.flush()
    if not clean:
        os._exit(0)  # a step is still running on a thread that Python would wait for
    return 0


def worker_options(settings: Settings) -> Options:
    """Return the part of the settings that a worker needs."""
    from qflow import __version__

    return Options(
        slots=settings.slots,
        lease_ms=settings.ms("lease"),
        grace_s=settings.ms("grace") / 1000,
        slice_s=settings.ms("time_slice") / 1000,
        keep=Retention(settings.ms("retention") // 1000, settings.ms("retention_failed") // 1000),
        ttl_s=settings.kept_s[0],
        version=__version__,
        heard_bytes=settings.step_log * 1024,
    )


def publish(redis: Redis, keys: Keys, functions: Any, publisher: str) -> None:
    """Publish an app's functions: new and changed ones take effect, removed ones end."""
    from qflow.core.function import describe

    functions = list(functions)
    schedules = [f"{function.id}|{cron.key}" for function in functions for cron in function.crons]
    run(redis, directory.publish(keys, publisher, [describe(f) for f in functions], schedules))
    emit("functions.published", count=len(functions))


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        # Not here: this may have interrupted the very lock that setting an event takes.
        threading.Thread(target=stop.set).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    if os.environ.get(EXIT_WITH_PARENT):
        threading.Thread(target=_watch_parent, args=(os.getppid(), stop), daemon=True).start()
    return stop


def check_redis(redis: Redis) -> None:
    """Wait for Redis, and refuse one that is too old."""
    info = redis.call("INFO", "server").decode()
    version = next(
        (line[14:] for line in info.splitlines() if line.startswith("redis_version:")), "0"
    )
    if tuple(int(part) for part in version.split(".")[:2]) < (6, 2):
        raise QflowError(
            f"Redis at {redis.target.shown} is {version}; qflow needs 6.2 or newer: upgrade it"
        )


def _run_services(
    kind: str, settings: Settings, compose: Callable[[Settings, Redis, Keys], Sequence[Service]]
) -> int:
    stop = stop_on_signals()
    _instrument(kind, settings)
    redis, keys = connect(settings, stop)
    _expose(settings, redis, keys)
    check_redis(redis)
    services = compose(settings, redis, keys)
    threads = [
        threading.Thread(target=service.run, args=(stop,), name=service.kind)
        for service in services
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join()
    return 0


def _run_processes(settings: Settings) -> int:
    """Keep `processes` workers alive as children, each a process of its own."""
    stop = stop_on_signals()
    command = [sys.executable, "-m", "qflow", *sys.argv[1:], "--processes", "1"]
    environment = {**os.environ, EXIT_WITH_PARENT: "1"}

    def spawn(number: int) -> subprocess.Popen[bytes]:
        port = settings.metrics_port and settings.metrics_port + number
        flags = ["--metrics-port", str(port)]
        return subprocess.Popen([*command, *flags], env=environment, start_new_session=True)

    children = [spawn(number) for number in range(settings.processes)]
    while not stop.wait(0.5):
        children = [
            child if child.poll() is None else spawn(number)
            for number, child in enumerate(children)
        ]
    for child in children:
        child.terminate()
    for child in children:
        child.wait()
    return 0


def _watch_parent(parent: int, stop: threading.Event) -> None:
    while not stop.wait(0.5):
        if os.getppid() != parent:
            stop.set()


def _instrument(kind: str, settings: Settings) -> None:
    from qflow import logs

    logs.configure(settings.log_format, settings.log_level, kind)
    attach(logs.log_sink, detail=logs.detailed())


def _expose(
    settings: Settings, redis: Redis, keys: Keys, busy: Callable[[], int] | None = None
) -> None:
    if settings.metrics_port:
        from qflow import exposition  # and prometheus_client: 110 ms

        exposition.serve(settings.metrics_host, settings.metrics_port, redis, keys, busy)


def logger_for() -> LoggerFor:
    """Return what makes the `run.logger` of handlers."""
    from qflow import logs

    return logs.run_logger
