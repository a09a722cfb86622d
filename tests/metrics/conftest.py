"""A real Redis of the session's own, and the two clients that the tests use."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qflow.errors import RedisError
from qflow.store.keys import Keys
from qflow.store.redis import Redis


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Server:
    """A redis-server process that can be stopped and started again on its port."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self._command = [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Server:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        Redis(self.url, patience_s=10.0).call("PING")
        return self

    def stop(self) -> None:
        """End it and wait until it is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it from running, as a hung host would, for the length of a block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = shutil.which("redis-server")
    assert program, "these tests need redis-server: install it"
    running = Server(program, tmp_path_factory.mktemp("redis")).start()
    yield running
    running.stop()


@pytest.fixture
def redis(server: Server) -> Iterator[Redis]:
    client = Redis(server.url)
    client.call("FLUSHALL")
    yield client
    try:
        client.call("FLUSHALL")
    except RedisError:
        server.start()  # the test had stopped it
    client.close()


@pytest.fixture
def keys() -> Keys:
    return Keys("qflow")
