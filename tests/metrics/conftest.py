"""What the tests of metrics need beside the fixtures of all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from qflow.dev import redis_process
from qflow.testing.server import RedisServer


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give ports that were free a moment ago."""
    return redis_process.free_port


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Redis of this test's own, to kill and to freeze."""
    with RedisServer() as server:
        yield server
