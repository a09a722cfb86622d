"""Fixtures of all tests: a real Redis, a namespace for each test, and the watch over its keys."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.leaks import leaks
from qflow.testing.processes import Qflow
from qflow.testing.server import RedisServer

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "leaves_keys(reason): this test is about keys that are left without an expiry"
    )


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for the whole session (one for each pytest-xdist worker): do not kill it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    """A client of `redis_server`, which is empty."""
    client = Redis(redis_server.url)
    client.call("FLUSHALL")
    yield client
    client.close()


@pytest.fixture
def keys(redis: Redis) -> Keys:
    """The keys of a namespace that no other test uses."""
    return Keys(f"t{os.getpid()}-{next(_numbers)}")


@pytest.fixture
def qflow_processes(tmp_path: Path, redis_server: RedisServer, keys: Keys) -> Iterator[Qflow]:
    """Starts qflow's commands in `tmp_path`, on this test's Redis and namespace."""
    with Qflow(tmp_path, redis_server.url, {"QFLOW_NAMESPACE": keys.ns}) as processes:
        yield processes


@pytest.fixture(autouse=True)
def no_leaked_keys(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a key which never expires and is not declared permanent."""
    if "keys" not in request.fixturenames or request.node.get_closest_marker("leaves_keys"):
        yield
        return
    keys: Keys = request.getfixturevalue("keys")
    client: Redis = request.getfixturevalue("redis")
    yield
    found = leaks(client, keys)
    assert not found, "keys left for ever:\n" + "\n".join(found)
