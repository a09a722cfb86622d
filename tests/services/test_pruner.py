"""The pruner keeps indexes as long as their runs, however many there are."""

from __future__ import annotations

import pytest
from cases.world import World

from qflow.services.pruner import Pruner

DAY_MS = 86_400_000


@pytest.fixture
def pruner(world: World) -> Pruner:
    world.stop([each for each in list(world._running) if each.name == "pruner"])
    world.app.function("old", trigger="go")(lambda: None)
    world.publish()
    return Pruner(world.redis, world.keys, DAY_MS, DAY_MS)


def add(world: World, status: str, count: int, *, alive: bool, age_ms: int) -> list[str]:
    """List runs as ended that long ago; the record of each is there, or expired meanwhile."""
    keys, now = world.keys, int(world.redis.call("TIME")[0]) * 1000
    runs = [f"{status}-{alive}-{age_ms}-{n}" for n in range(count)]
    commands: list[tuple[object, ...]] = []
    for run in runs:
        for index in (keys.runs, keys.by_status(status), keys.by_function("old", status)):
            commands.append(("ZADD", index, now - age_ms, run))
        if alive:
            commands += [("HSET", keys.run(run), "status", status), ("EXPIRE", keys.run(run), 60)]
    world.redis.pipeline(commands)
    return runs


def indexed(world: World, index: str) -> set[str]:
    return {run.decode() for run in world.redis.call("ZRANGE", index, 0, -1)}


def test_what_expired_leaves_every_index(world: World, pruner: Pruner) -> None:
    add(world, "completed", 3_000, alive=False, age_ms=2 * DAY_MS)
    young = add(world, "completed", 5, alive=False, age_ms=1000)
    kept = add(world, "completed", 5, alive=True, age_ms=3 * DAY_MS)
    pruner.tick()
    keys = world.keys
    for index in (keys.runs, keys.by_status("completed"), keys.by_function("old", "completed")):
        assert indexed(world, index) == {*kept, *young}


def test_many_that_are_kept_for_longer_hide_nothing(world: World, pruner: Pruner) -> None:
    kept = add(world, "failed", 1_200, alive=True, age_ms=5 * DAY_MS)
    add(world, "completed", 700, alive=False, age_ms=2 * DAY_MS)
    pruner.tick()
    assert indexed(world, world.keys.runs) == set(kept)
    pruner.tick()
    assert indexed(world, world.keys.runs) == set(kept)


def test_old_events_go(world: World, pruner: Pruner) -> None:
    keys = world.keys
    now = int(world.redis.call("TIME")[0]) * 1000
    world.until(lambda: world.redis.call("EXISTS", keys.events), "the stream")
    world.redis.call("DEL", keys.events)
    world.redis.pipeline(
        [("XADD", keys.events, f"{now - 2 * DAY_MS + n}-0", "name", "nobody") for n in range(500)]
    )
    pruner.tick()
    assert world.redis.call("XLEN", keys.events) < 200
