"""Serves the dashboard: as a process of its own, or on a thread of `qflow dev`."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from qflow.config import Settings
from qflow.core.sealed import KEYS_VARIABLE
from qflow.discovery import redis_url
from qflow.errors import ConfigError
from qflow.read.masked import Mask
from qflow.read.opened import Opener
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep
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
    return Site(
        redis=Redis(redis_url(settings)),
        keys=Keys(settings.namespace),
        access=access_of(settings),
        opener=_opener(settings),
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
    server.run(sockets=[place.sock])


def start(site: Callable[[], Site], place: Place) -> Callable[[], None]:
    """Serve on a thread; return what stops it. `site` is made there, with all that it imports."""
    servers: list[Any] = []
    stopped = threading.Event()

    def serve() -> None:
        server = _server(site())
        servers.append(server)
        server.should_exit = stopped.is_set()
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


def _opener(settings: Settings) -> Opener:
    mask = Mask(settings.masked.split(","))
    if not os.environ.get(KEYS_VARIABLE):
        return Opener(mask=mask)
    from qflow.encryption import Encryption  # loads OpenSSL

    return Opener(Encryption().decode, mask)


def _prefix(settings: Settings) -> str:
    path = settings.dashboard_prefix.strip("/")
    return f"/{path}" if path else ""
