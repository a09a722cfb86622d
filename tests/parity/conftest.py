"""The fixture `stage`: each test that takes it runs on Redis, in memory, and in memory always replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cases.world import World
from parity.memory_stage import MemoryStage
from parity.redis_stage import RedisStage
from parity.stages import Stage


@pytest.fixture(params=["redis", "memory", "replayed"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Where functions are run, three times."""
    if request.param == "redis":
        keys = request.getfixturevalue("keys")
        server = request.getfixturevalue("redis_server")
        with World(server.url, keys, tmp_path) as world:
            world.serve()
            yield RedisStage(world)
        return
    stage = MemoryStage(always_replay=request.param == "replayed")
    yield stage
    stage.close()
