"""Two namespaces on one Redis never see each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases.world import World

from qflow import SyncStep
from qflow.store.keys import Keys
from qflow.testing.server import RedisServer


@pytest.mark.leaves_keys("those of a second namespace, which the watch does not know")
def test_events_and_runs_stay_in_their_namespace(
    world: World, redis_server: RedisServer, tmp_path: Path
) -> None:
    ran: list[str] = []

    def define(place: World, name: str) -> None:
        @place.app.function("same", trigger="go", retries=0)
        def same(step: SyncStep) -> str:
            step.run("note", ran.append, name)
            step.sleep("nap", 0.01)
            return name

    with World(redis_server.url, Keys(f"{world.keys.ns}-b"), tmp_path) as other:
        other.serve()
        define(world, "one")
        define(other, "two")
        world.worker()
        other.worker()
        assert world.outcome("same", "go").output == "one"
        assert other.outcome("same", "go").output == "two"
        assert world.redis.call("ZCARD", world.keys.runs) == 1
        assert other.redis.call("ZCARD", other.keys.runs) == 1
        assert ran == ["one", "two"]
        assert world.keys.scheduled != other.keys.scheduled
        assert world.keys.queue != other.keys.queue
