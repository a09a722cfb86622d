"""Batches: one run for many events, by number, time and size."""

from __future__ import annotations

from typing import Any

import pytest
from cases.world import World

from qflow import Batch, Debounce, Event, Singleton, Throttle
from qflow.errors import DefinitionError


def define(world: World, batch: Batch, **more: Any) -> None:
    def handler(event: Event[Any], events: list[Event[Any]]) -> list[int]:
        assert event.id == events[0].id
        return [each.data["n"] for each in events]

    world.app.function("work", trigger="go", batch=batch, **more)(handler)
    world.worker()


def test_a_full_batch_starts_at_once(world: World) -> None:
    define(world, Batch(5, timeout="1h"))
    sent = [world.send("go", {"n": n}) for n in range(12)]
    ended = [world.ended(event, "work") for event in sent[:10]]
    assert [run.output for run in ended] == [[0, 1, 2, 3, 4]] * 5 + [[5, 6, 7, 8, 9]] * 5
    open_one = world.look(world.run_of(sent[10], "work"))
    assert (open_one.status, open_one.fields["batched"]) == ("queued", "2")
    assert world.run_of(sent[11], "work") == open_one.id


def test_a_batch_starts_after_its_time(world: World) -> None:
    define(world, Batch(100, timeout="300ms"))
    sent = [world.send("go", {"n": n}) for n in range(3)]
    ended = world.ended(sent[2], "work")
    assert ended.output == [0, 1, 2]
    assert int(ended.fields["started"]) - int(ended.fields["created"]) >= 290
    assert world.redis.call("KEYS", f"{world.keys.ns}:pending:*") == []


def test_keys_and_conditions(world: World) -> None:
    define(world, Batch(2, timeout="1h", key="event.data.k", when="event.data.n < 10"))
    sent = [world.send("go", {"n": n, "k": k}) for n, k in [(1, "a"), (2, "b"), (3, "a"), (4, "b")]]
    assert [world.ended(event, "work").output for event in sent] == [[1, 3], [2, 4]] * 2
    assert world.outcome("work", "go", {"n": 10, "k": "a"}).output == [10]


def test_a_batch_stays_under_ten_mebibytes(world: World) -> None:
    define(world, Batch(1000, timeout="1h"))
    text = "x" * 500_000
    sent = [world.send("go", {"n": n, "text": text}) for n in range(22)]
    ended = world.ended(sent[0], "work", 30)
    assert ended.output == list(range(len(ended.output)))
    assert 19 <= len(ended.output) <= 21
    assert world.run_of(sent[21], "work") != ended.id


def test_throttled_batches(world: World) -> None:
    define(world, Batch(2, timeout="1h"), throttle=Throttle(5, per="1s"))
    sent = [world.send("go", {"n": n}) for n in range(6)]
    began = sorted({int(world.ended(event, "work").fields["started"]) for event in sent})
    assert len(began) == 3
    assert began[2] - began[0] >= 390


@pytest.mark.parametrize(
    ("name", "given"),
    [("debounce", Debounce("1s")), ("singleton", Singleton()), ("priority", 10)],
)
def test_what_cannot_go_together_is_refused(world: World, name: str, given: Any) -> None:
    with pytest.raises(DefinitionError, match=f"has both batch and {name}: "):
        define(world, Batch(2, timeout="1s"), **{name: given})
