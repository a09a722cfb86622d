"""Serves the dashboard: as a process of its own, or on a thread of `qflow dev`."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from qflow.config import Settings
from qflow.core.middleware import Hooks
from qflow.core.sealed import KEYS_VARIABLE
from qflow.discovery import redis_url
from qflow.engine.bulk import Bulks
from qflow.errors import ConfigError, QflowError
from qflow.read.masked import Mask
from qflow.read.opened import Opener
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep
from qflow.telemetry import emit
from qflow.web.access import Access, read_access
from qflow.web.exchange import Site

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_TRIED: Final = 20


class Place:
    """An address that is taken, before anything is served there."""

    def __init__(self, sock: socket.socket, host: str, prefix: str) -> None:
        self.sock = sock
        port = sock.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}{prefix}"


def access_of(settings: Settings) -> Access:
    """Return who may use the dashboard; raise ConfigError where others could reach it and none is named."""
    access = read_access(settings.dashboard_tokens, settings.event_keys)
    if access.is_open and settings.dashboard_host not in LOOPBACK:
        raise ConfigError(
            f"QFLOW_DASHBOARD_HOST={settings.dashboard_host}: others can reach it there, so it needs "
            "tokens: set QFLOW_DASHBOARD_TOKENS=name:admin:SECRET (make one: openssl rand -hex 24)"
        )
    return access


def take_place(settings: Settings, *, or_next: bool = False) -> Place:
    """Listen on the address of the settings; with `or_next` on the next free port where it is taken.

    Raises ConfigError where that cannot be.
    """
    host, port = settings.dashboard_host, settings.dashboard_port
    last = port + (_TRIED if or_next and port else 0)
    while True:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(128)
        except OSError as error:
            sock.close()
            if port < last:
                port += 1
                continue
            raise ConfigError(
                f"QFLOW_DASHBOARD_PORT={port}: cannot listen on {host}: "
                f"{error.strerror or error}; choose a free port"
            ) from None
        return Place(sock, host, _prefix(settings))


def site_of(settings: Settings) -> Site:
    """Return what the pages work with; encrypted values are opened where the key is at hand."""
    hooks = _hooks()
    return Site(
        redis=Redis(redis_url(settings)),
        keys=Keys(settings.namespace),
        access=access_of(settings),
        opener=Opener(hooks.decoded if hooks else None, Mask(settings.masked.split(","))),
        hooks=hooks,
        prefix=_prefix(settings),
        unmask=settings.unmask,
        keep=Keep(*settings.kept_s),
    )


def run(site: Site, place: Place) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    server = _server(site)

    def stop(_number: int, _frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises again what ended it
        signal.signal(number, stop)
    with Working(site):
        server.run(sockets=[place.sock])


def start(site: Callable[[], Site], place: Place) -> Callable[[], None]:
    """Serve on a thread; return what stops it. `site` is made there, with all that it imports."""
    servers: list[Any] = []
    stopped = threading.Event()

    def serve() -> None:
        made = site()
        server = _server(made)
        servers.append(server)
        server.should_exit = stopped.is_set()
        with Working(made):
            server.run(sockets=[place.sock])

    thread = threading.Thread(target=serve, name="dashboard", daemon=True)
    thread.start()

    def stop() -> None:
        stopped.set()
        for server in servers:
            server.should_exit = True
        thread.join(2.0)
        place.sock.close()

    return stop


class Working:
    """A thread that carries actions on many runs on, while pages are served."""

    def __init__(self, site: Site) -> None:
        holder = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._bulks = Bulks(site.redis, site.keys, site.keep, holder)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="actions", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join(2.0)

    def _work(self) -> None:
        wait_s = 0.0
        while not self._stopped.wait(wait_s):
            try:
                wait_s = self._bulks.work()
            except QflowError:  # Redis is out of reach, which every page says
                wait_s = 1.0
            except Exception as error:  # noqa: BLE001  # one bad action must not end all others
                emit("loop.failed", loop="actions", error=str(error))
                wait_s = 1.0


def _server(site: Site) -> Any:
    import uvicorn

    from qflow.web.app import create_app
    from qflow.web.rendering import warm

    warm()
    made: list[uvicorn.Server] = []
    config = uvicorn.Config(
        create_app(site, lambda: any(server.should_exit for server in made)),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    made.append(uvicorn.Server(config))
    return made[0]


def _hooks() -> Hooks | None:
    """Return what decodes and encodes values, None where the environment has no key."""
    if not os.environ.get(KEYS_VARIABLE):
        return None
    from qflow.encryption import Encryption  # loads OpenSSL

    return Hooks([Encryption()])


def _prefix(settings: Settings) -> str:
    path = settings.dashboard_prefix.strip("/")
    return f"/{path}" if path else ""
