"""Throttles: runs start evenly spaced, later than asked for, and none is lost."""

from __future__ import annotations

import pytest
from cases.world import World

from qflow import Throttle


def starts(world: World, sent: list[str], function: str = "work") -> list[int]:
    ended = [world.ended(event, function, 30) for event in sent]
    assert {run.status for run in ended} == {"completed"}
    return sorted(int(run.fields["started"]) for run in ended)


def test_starts_are_evenly_spaced(world: World) -> None:
    world.app.function("work", trigger="go", throttle=Throttle(10, per="1s"))(lambda: None)
    world.worker()
    began = starts(world, [world.send("go") for _ in range(10)])
    assert 880 <= began[-1] - began[0] <= 1300
    assert max(sum(a <= b < a + 500 for b in began) for a in began) <= 6


def test_a_burst_starts_at_once(world: World) -> None:
    world.app.function("work", trigger="go", throttle=Throttle(5, per="1s", burst=4))(lambda: None)
    world.worker()
    sent = [world.send("go") for _ in range(6)]
    began = starts(world, sent)
    assert began[3] - began[0] < 200
    assert began[5] - began[0] >= 390


def test_keys_do_not_wait_for_each_other(world: World) -> None:
    limit = Throttle(1, per="1h", key="event.data.tenant")
    world.app.function("work", trigger="go", throttle=limit)(lambda: None)
    world.worker()
    first = world.send("go", {"tenant": "a"})
    late = world.run_of(world.send("go", {"tenant": "a"}), "work")
    other = world.send("go", {"tenant": "b"})
    starts(world, [first, other])
    held = world.look(late)
    assert held.status == "queued"
    assert held.fields["held"] == "throttled"
    assert abs(int(held.fields["due"]) - int(held.fields["created"]) - 3_600_000) < 5_000


@pytest.mark.parametrize("throttle", [Throttle(100, per="1s"), None])
def test_a_deploy_applies_to_who_waits(world: World, throttle: Throttle | None) -> None:
    world.app.function("work", trigger="go", throttle=Throttle(1, per="1h"))(lambda: None)
    world.publish()
    sent = [world.send("go") for _ in range(10)]
    for event in sent:
        world.run_of(event, "work")
    other = world.make_app("tests")
    other.function("work", trigger="go", throttle=throttle)(lambda: None)
    seconds, micros = world.redis.call("TIME")
    deployed = int(seconds) * 1000 + int(micros) // 1000
    world.worker(other)
    began = starts(world, sent)
    if throttle:
        assert began[-1] - deployed >= 75


def test_a_slower_throttle_applies_to_who_waits(world: World) -> None:
    world.app.function("work", trigger="go", throttle=Throttle(1, per="2s"))(lambda: None)
    world.publish()
    runs = [world.run_of(world.send("go"), "work") for _ in range(4)]
    other = world.make_app("tests")
    other.function("work", trigger="go", throttle=Throttle(1, per="1h"))(lambda: None)
    world.publish(other)
    due = world.keys.scheduled

    def respaced() -> bool:
        flat = world.redis.call("ZRANGE", due, 0, -1, "WITHSCORES")
        return len(flat) >= 4 and float(flat[-1]) - float(flat[-3]) > 3000

    world.until(respaced, "the runs to wait an hour each")
    order = [raw.decode()[:26] for raw in world.redis.call("ZRANGE", due, 0, -1)]
    assert order == [run for run in runs if run in order]
