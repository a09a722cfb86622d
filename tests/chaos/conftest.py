"""Fixtures of the chaos tests: each has a Redis of its own and real processes, and kills some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.scene import Scene

from qflow.testing.server import RedisServer


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos: kills, pauses or cuts off real processes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("chaos")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A Redis that keeps nothing on disk, and no process yet."""
    with RedisServer() as server:
        made = Scene(tmp_path, server)
        try:
            yield made
        finally:
            made.close()
