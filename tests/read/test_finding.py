"""Finding runs and events by their ids, whole or in part, at a bounded cost."""

from __future__ import annotations

import json

import pytest
from read.scenes import Scene

from qflow.core.ids import ulid
from qflow.read import finding, runs
from qflow.read.nearest import NotFound
from qflow.store.keys import Keys
from qflow.store.redis import Redis


@pytest.fixture
def scene(redis: Redis, keys: Keys) -> Scene:
    """A namespace with the functions `pay` and `ship`."""
    made = Scene(redis, keys)
    made.publish("pay", "ship")
    return made


def test_a_run_by_its_id_or_a_part_and_by_its_event(scene: Scene, redis: Redis, keys: Keys) -> None:
    run = scene.start("pay")
    redis.call("SET", keys.seen("pay", "order-4711"), run, "EX", 60)
    for wanted in (run, run.lower(), run[-8:], run[:14]):
        (found,) = finding.find(redis, keys, f" {wanted} ")
        assert (found.kind, found.id, found.told) == ("run", run, "pay queued")
    (found,) = finding.find(redis, keys, "order-4711")
    assert (found.id, found.told) == (run, "pay queued started by event order-4711")


def test_an_event_by_its_entry(scene: Scene, redis: Redis, keys: Keys) -> None:
    data = json.dumps({})
    entry = redis.call("XADD", keys.events, "*", "name", "order/paid", "data", data).decode()
    assert finding.find(redis, keys, entry) == [finding.Found("event", entry, "order/paid")]
    assert finding.find(redis, keys, "1-1-1") == []


@pytest.mark.parametrize("wanted", ["", "abc", "two words", "x" * 129, "no-such-id", "*" * 8])
def test_what_is_no_id_finds_nothing(scene: Scene, redis: Redis, keys: Keys, wanted: str) -> None:
    scene.start("pay")
    assert finding.find(redis, keys, wanted) == []


def test_a_part_costs_a_few_commands_with_a_hundred_thousand_runs(
    scene: Scene, redis: Redis, keys: Keys
) -> None:
    run = scene.start("pay")
    for at in range(0, 100_000, 10_000):
        made = [ulid(1_700_000_000_000 + n, bytes(10)) for n in range(at, at + 10_000)]
        flat = [part for n, name in enumerate(made) for part in (n, name)]
        redis.call("ZADD", keys.runs, *flat)
    before = processed(redis)
    assert runs.find(redis, keys, run[-8:]) == run
    with pytest.raises(NotFound):
        runs.find(redis, keys, "ZZZZZZZZ")
    assert processed(redis) - before < 40
    redis.call("ZREMRANGEBYSCORE", keys.runs, 0, 100_000)


def processed(redis: Redis) -> int:
    info = redis.call("INFO", "stats").decode()
    return int(info.split("total_commands_processed:")[1].split("\r")[0])
