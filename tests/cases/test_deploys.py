"""A deploy that changes a limit changes it for what waits already, and nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest
from cases.test_concurrency import Gauge, all_ended, nothing_is_left
from cases.world import World

from qflow import Batch, Concurrency, Debounce, Event, RateLimit, Singleton, SyncStep, Throttle


def deploy(world: World, before: dict[str, Any], events: int = 3) -> list[str]:
    """Publish a function with these limits, and send it events; return their ids."""

    def handler(events: list[Event[Any]]) -> list[int]:
        return [event.data["n"] for event in events]

    world.app.function("work", trigger="go", **before)(handler)
    world.publish()
    sent = [world.send("go", {"n": n}) for n in range(events)]
    for event in sent:
        world.run_of(event, "work")
    return sent


def again(world: World, after: dict[str, Any]) -> None:
    """Deploy the function with other limits, in a worker of its own."""
    other = world.make_app("tests")

    def handler(events: list[Event[Any]]) -> list[int]:
        return [event.data["n"] for event in events]

    other.function("work", trigger="go", **after)(handler)
    world.worker(other)


@pytest.mark.parametrize(
    ("before", "after", "started"),
    [
        ({"debounce": Debounce("1h")}, {"debounce": Debounce("50ms")}, [[2]] * 3),
        ({"debounce": Debounce("1h")}, {"debounce": Debounce("30m", timeout="30m")}, []),
        ({"debounce": Debounce("1h")}, {}, [[2]] * 3),
        ({"batch": Batch(9, "1h")}, {"batch": Batch(9, "50ms")}, [[0, 1, 2]] * 3),
        ({"batch": Batch(9, "1h")}, {"batch": Batch(3, "1h")}, [[0, 1, 2]] * 3),
        ({"batch": Batch(9, "1h")}, {}, [[0, 1, 2]] * 3),
        ({"throttle": Throttle(1, "1h")}, {"throttle": Throttle(100, "1s")}, [[0], [1], [2]]),
        ({"throttle": Throttle(1, "1h")}, {}, [[0], [1], [2]]),
        ({"debounce": Debounce("1h")}, {"throttle": Throttle(1, "1s")}, [[2]] * 3),
        ({"concurrency": 1}, {"concurrency": 2}, [[0], [1], [2]]),
        ({"concurrency": 1}, {}, [[0], [1], [2]]),
        (
            {"concurrency": Concurrency(1, key="event.data.n > 0")},
            {"concurrency": Concurrency(1, per="run")},
            [[0], [1], [2]],
        ),
    ],
)
def test_what_waits_goes_by_the_new_numbers(
    world: World, before: dict[str, Any], after: dict[str, Any], started: list[list[int]]
) -> None:
    sent = deploy(world, before)
    again(world, after)
    if started:
        assert [run.output for run in all_ended(world, "work", sent)] == started
        nothing_is_left(world)
        assert world.redis.call("KEYS", f"{world.keys.ns}:pending:*") == []
    else:
        run = world.run_of(sent[0], "work")
        at = int(world.look(run).fields["created"])
        world.until(
            lambda: int(world.look(run).fields["due"]) - at <= 1_800_000, "the wait to be shorter"
        )


def test_a_lowered_limit_holds_for_who_waits(world: World) -> None:
    gauge = Gauge()

    def handler(step: SyncStep) -> None:
        step.run("work", gauge, "")

    world.app.function("work", trigger="go", concurrency=4)(handler)
    world.publish()
    sent = [world.send("go") for _ in range(10)]
    runs = [world.run_of(event, "work") for event in sent]
    queued = [world.look(run).fields["lane"][0] for run in runs]
    assert sorted(queued) == ["b"] * 6 + ["q"] * 4
    other = world.make_app("tests")
    other.function("work", trigger="go", concurrency=1)(handler)
    world.worker(other, slots=1)
    for run in runs[:4]:  # they have their slots
        world.until_status(run, "completed")
    world.worker(other, slots=8)
    gauge.most.clear()
    all_ended(world, "work", sent)
    assert gauge.most["all"] <= 1
    nothing_is_left(world)


def test_a_changed_rate_limit_counts_what_has_started(world: World) -> None:
    sent = deploy(world, {"rate_limit": RateLimit(2, "1h")})
    again(world, {"rate_limit": RateLimit(3, "1h")})
    statuses = [world.ended(event, "work").status for event in sent]
    assert sorted(statuses) == ["completed", "completed", "skipped"]
    more = [world.send("go", {"n": n}) for n in (3, 4)]
    assert sorted(run.status for run in all_ended(world, "work", more)) == ["completed", "skipped"]


def test_a_changed_mode_of_a_singleton_finds_the_run_there_is(world: World) -> None:
    (first, *rest) = deploy(world, {"singleton": Singleton()})
    assert {run.status for run in all_ended(world, "work", rest)} == {"skipped"}
    other = world.make_app("tests")
    other.function("work", trigger="go", singleton=Singleton(mode="cancel"))(lambda: None)
    world.publish(other)
    world.run_of(world.send("go", {"n": 9}), "work")
    assert world.ended(first, "work").status == "cancelled"
