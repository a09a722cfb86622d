"""Fixtures of the cases: a world of services on threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cases.world import World

from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "world(**settings): settings of the test's world")


@pytest.fixture
def world(
    redis: Redis,
    redis_server: RedisServer,
    keys: Keys,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    """Router, scheduler and rescuer of a namespace; the test starts the workers.

    `@pytest.mark.world(lease="1s", ...)` changes settings.
    """
    marker = request.node.get_closest_marker("world")
    with World(redis_server.url, keys, tmp_path, **(marker.kwargs if marker else {})) as made:
        made.serve()
        yield made
