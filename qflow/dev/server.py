"""`qflow dev`: everything in one command, and nothing left behind.

This process runs Redis (where none is configured) and the worker as children, router and scheduler
as threads. It begins in the order that a newcomer needs: Redis and its record first, so that an
event is accepted at once; then the worker, whose functions the router must know before it looks at
that event. Only the main thread decides; signals and the watcher leave messages for it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from qflow import __version__
from qflow.config import Settings, env_name
from qflow.dev.banner import banner, changes, of_folder
from qflow.dev.console import Console
from qflow.dev.embedded import Embedded
from qflow.dev.inbox import Inbox
from qflow.dev.watch import Watcher
from qflow.dev.workers import GRACE_MS, Workers
from qflow.errors import QflowError, RedisBusy, RedisError, RedisUnavailable, UsageError
from qflow.store import directory
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.telemetry import attach, detach
from qflow.web import server as dashboard

_LOOK_S: Final = 0.2
_LEAD_MS: Final = 3000


def run_dev(settings: Settings) -> int:
    """Run Redis, router, scheduler and a worker that reloads, until Ctrl-C; return the exit code.

    Raises UsageError for a folder that cannot be one of functions, QflowError where Redis cannot be
    started or does not suit.
    """
    inbox = Inbox()
    dev = Dev(settings, _folder(settings.path), inbox)
    before = {
        number: signal.signal(number, inbox.on_signal)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN  # nohup
    }
    try:
        dev.start()
        dev.serve()
    except QflowError:
        if not inbox.stopping():  # what a start in the making says of being stopped is no error
            raise
    finally:
        dev.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _folder(path: str) -> Path:
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise UsageError(
            f"no folder of functions at {path!r}: mkdir {path} and put a function in it (README "
            "shows one), or name another: qflow dev PATH"
        )
    if not folder.name.isidentifier():
        raise UsageError(
            f"folder {folder.name!r} cannot be imported: rename it to a Python name, such as "
            "'workers'"
        )
    return folder


class Dev:
    """The processes and threads of one `qflow dev`."""

    def __init__(self, settings: Settings, folder: Path, inbox: Inbox) -> None:
        self._settings = settings
        self._folder = folder
        self._inbox = inbox
        self._console = Console(settings.log_level, settings.log_format == "json")
        self._embedded = None if settings.redis_url else Embedded(Path.cwd())
        self._url = settings.redis_url
        self._keys = Keys(settings.namespace)
        self._workers: Workers | None = None
        self._watcher: Watcher | None = None
        self._functions: dict[str, Any] = {}
        self._threads: list[threading.Thread] = []
        self._threads_stop = threading.Event()
        self._dashboard: dashboard.Place | None = None
        self._stop_dashboard: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Bring everything up; returns early where a signal came meanwhile."""
        if self._embedded is not None:
            self._url = self._embedded.start(self._inbox.stopping)
            if self._embedded.adopted:
                self._console.say("redis", "goes on from a qflow dev that was killed")
        else:
            self._await_redis()
        connection = Redis(self._url), self._keys
        workers = Workers(
            self._folder, self._environ, self._tend_redis, connection, self._inbox, self._console
        )
        self._workers = workers
        self._watcher = Watcher(self._folder, self._inbox.on_change)
        workers.spawn()
        from qflow.services import supervisor  # rq-scheduler takes 0.4 s, and so does the worker

        supervisor.check_redis(Redis(self._url))
        self._watcher.start()
        if workers.bring_up():
            self._say_hello()
            workers.release()

    def serve(self) -> None:
        """Reload on change and replace what died, until a signal."""
        workers = self._workers
        while workers is not None and not self._inbox.stopping():
            self._inbox.take_in(_LOOK_S)
            workers.clear_away()
            if self._inbox.has_changes:
                self._reload(workers)
            workers.mend()
            self._tend_redis()

    def stop(self) -> None:
        """Stop everything, the worker first and Redis last."""
        self._threads_stop.set()
        try:
            if self._watcher is not None:
                self._watcher.stop()
            if self._workers is not None:
                self._workers.stop()
            self._stop_dashboard()
            for thread in self._threads:
                thread.join(2.0)
            if self._threads:
                detach(self._console.sink)
        finally:
            if self._embedded is not None:
                self._embedded.stop()
        if self._inbox.stopping():
            self._console.say("dev", "stopped")

    def _await_redis(self) -> None:
        redis, waiting = Redis(self._url), False
        while not self._inbox.stopping():
            try:
                redis.call("PING")
            except (RedisUnavailable, RedisBusy) as error:
                if not waiting:
                    self._console.say("redis", f"{error}; waiting for it", logging.WARNING)
                waiting = True
                self._inbox.take_in(_LOOK_S)
            else:
                return

    def _tend_redis(self) -> None:
        """Start our own Redis again if it died."""
        if self._embedded is not None and not self._embedded.alive():
            self._console.say("redis", "ended by itself; starting it again", logging.WARNING)
            self._embedded.restart(self._inbox.stopping)

    def _environ(self) -> dict[str, str]:
        """Return the environment of a worker: our settings, whatever they came from."""
        settings = self._settings
        child = replace(
            settings,
            redis_url=self._url,
            processes=1,
            grace=f"{min(settings.ms('grace'), GRACE_MS)}ms",
            metrics_port=0,  # that is ours; and two workers overlap during a reload
            log_format="json" if settings.log_format == "json" else "console",
        )
        environ = {env_name(item.name): str(getattr(child, item.name)) for item in fields(child)}
        environ |= {"QFLOW_EXIT_WITH_PARENT": "1", "QFLOW_DEV": "1", "PYTHONUNBUFFERED": "1"}
        if self._console.coloured:
            environ["FORCE_COLOR"] = "1"
        return {**os.environ, **environ}

    def _reload(self, workers: Workers) -> None:
        began, changed = time.monotonic(), self._inbox.take_changed()
        for path in changed:  # Python tells bytecode apart by size and the second only
            with suppress(OSError, NotImplementedError):
                os.unlink(importlib.util.cache_from_source(str(self._folder / path)))
        workers.spawn()
        if not workers.bring_up():
            return
        if self._threads:
            self._tell_reload(changed, time.monotonic() - began)
        else:
            self._say_hello()
        workers.release()

    def _tell_reload(self, changed: list[str], seconds: float) -> None:
        before, self._functions = self._functions, self._published()
        files = ", ".join(changed[:3]) + (" and others" if len(changed) > 3 else "")
        what = changes(before, self._functions)
        self._console.say("dev", f"reloaded {files} in {seconds:.1f} s{what}")

    def _say_hello(self) -> None:
        """Say what is there, and start routing to it."""
        self._functions = self._published()
        path = os.path.relpath(self._folder)
        where = Redis(self._url).target.shown
        if self._embedded is not None:
            where += "   (private; its data stay in .qflow)"
        self._dashboard = dashboard.take_place(self._settings, or_next=True)
        places = {"Redis": where, "Dashboard": self._dashboard.url}
        self._console.show(banner(__version__, places, path, self._functions))
        if not self._functions:
            self._console.say("dev", f"no functions in {path}", logging.WARNING)
        self._start_threads()
        self._console.say("dev", f"ready: {len(self._functions)} functions; {path} is watched")

    def _start_threads(self) -> None:
        from qflow.services import supervisor

        settings = replace(self._settings, redis_url=self._url)
        redis, keys = supervisor.connect(settings, self._threads_stop)
        # A scheduler that was killed must not keep the next one waiting for long.
        brief = replace(settings, lease=f"{min(settings.ms('lease'), _LEAD_MS)}ms")
        if settings.metrics_port:
            from qflow import exposition  # and prometheus_client: 110 ms

            exposition.serve(settings.metrics_host, settings.metrics_port, redis, keys)
        attach(self._console.sink)
        for service in (
            *supervisor.router_services(settings, redis, keys),
            *supervisor.scheduler_services(brief, redis, keys),
        ):
            thread = threading.Thread(
                target=service.run, args=(self._threads_stop,), name=service.kind, daemon=True
            )
            thread.start()
            self._threads.append(thread)
        if self._dashboard is not None:
            self._stop_dashboard = dashboard.start(
                lambda: dashboard.site_of(settings), self._dashboard
            )

    def _published(self) -> dict[str, Any]:
        try:
            specs = directory.functions(Redis(self._url), self._keys)[1]
        except RedisError:  # on its way back; this is only to be told of
            return self._functions
        return of_folder(specs, self._folder)
