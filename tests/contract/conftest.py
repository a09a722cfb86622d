"""Fixtures of the contract tests: qflow's services beside RQ's own tools."""

from __future__ import annotations

import pytest
from cases.conftest import world  # noqa: F401  # a fixture
from cases.world import World
from redis import Redis as Client


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "world(**settings): settings of the test's world")


@pytest.fixture
def client(world: World) -> Client:  # noqa: F811
    """A redis-py client, as RQ's tools use it."""
    return world.redis.client()
