"""Schedulers: one leads, others stand by and take over; what is due moves once."""

from __future__ import annotations

import threading

import pytest
from cases.world import Running, World

from qflow import SyncStep
from qflow.services.scheduler import Scheduler
from qflow.store.redis import Redis
from qflow.store.stream import Keep


def scheduler(world: World) -> Scheduler:
    return Scheduler(Redis(world.url, 30), world.keys, Keep(500, 700), 3000)


@pytest.fixture
def quiet(world: World) -> World:
    """A world without a scheduler of its own."""
    world.stop([each for each in list(world._running) if each.name == "scheduler"])

    @world.app.function("nap", trigger="nap")
    def nap(event, step: SyncStep) -> int:  # type: ignore[no-untyped-def]
        for n in range(3):
            step.sleep(f"nap {n}", event.data["s"])
        return 1

    return world


def leader(world: World) -> str:
    return (world.redis.call("HGET", world.keys.leader, "holder") or b"").decode()


def test_three_of_them_move_each_job_once(quiet: World) -> None:
    world = quiet
    made = [scheduler(world) for _ in range(3)]
    world.run_services(made)
    world.worker()
    events = [world.send("nap", {"s": 0.05}) for _ in range(20)]
    for event in events:
        run = world.ended(event, "nap")
        assert len(run.told("claim")) == 4
    assert world.counter("dropped") == world.counter("fenced") == 0
    names = {each.name for each in made}
    assert len(names & {fields["name"] for fields in world.emitted("leader.gained")}) == 1


def test_another_takes_over_at_once_when_the_leader_stops(quiet: World) -> None:
    world = quiet
    made = [scheduler(world) for _ in range(2)]
    running = world.run_services(made)
    names = [each.name for each in made]
    world.until(lambda: leader(world) in names, "a leader")
    first = leader(world)
    leading = running[names.index(first)]
    world.stop([leading])
    second = world.until(lambda: leader(world) != first and leader(world), "another leader", 5)
    assert second in [each.name for each in made]
    world.worker()
    assert world.ended(world.send("nap", {"s": 0.02}), "nap").output == 1


def test_a_leader_that_was_paused_moves_nothing(quiet: World) -> None:
    """Its lead lapses unnoticed; its token no longer counts."""
    world = quiet
    old, new = scheduler(world), scheduler(world)
    old.tick()
    assert leader(world) == old.name
    world.redis.call("HSET", world.keys.leader, "until", 0)
    new.tick()
    assert leader(world) == new.name
    old.tick()
    assert leader(world) == new.name
    assert old._token == 0
    assert [fields["name"] for fields in world.emitted("leader.lost")] == [old.name]
    for each in (old, new):
        each.stop()


@pytest.mark.serial
def test_it_wakes_for_a_timer_that_is_earlier_than_the_next(quiet: World) -> None:
    world = quiet
    world.run_services([scheduler(world)])
    world.worker()
    far = world.send("nap", {"s": 3600})
    world.until_status(world.run_of(far, "nap"), "waiting")
    lates = []
    for _ in range(5):
        run = world.ended(world.send("nap", {"s": 0.1}), "nap")
        lates.append(int(run.fields["ended"]) - int(run.fields["started"]) - 300)
    assert min(lates) < 150, lates


def test_jobs_that_came_due_while_nobody_led_are_moved_at_once(quiet: World) -> None:
    world = quiet
    world.worker()
    runs = [world.run_of(world.send("nap", {"s": 0.01}), "nap") for _ in range(30)]
    for run in runs:
        world.until_status(run, "waiting")
    world.run_services([scheduler(world)])
    for run in runs:
        world.until_status(run, "completed")


def test_one_bad_specification_stops_no_timer(quiet: World) -> None:
    """A newer version may have published what this one cannot read."""
    world = quiet
    world.worker()
    bad = '{"id":"bad","triggers":[{"cron":"nonsense"}],"version":"x","app":"x"}'
    world.redis.pipeline(
        [("HSET", world.keys.functions, "bad", bad), ("INCR", world.keys.functions_version)]
    )
    world.run_services([scheduler(world)])
    assert world.ended(world.send("nap", {"s": 0.02}), "nap").output == 1
    world.redis.call("HDEL", world.keys.functions, "bad")


def test_it_stops_promptly(quiet: World) -> None:
    world = quiet
    made = scheduler(world)
    running = Running("scheduler", made.run, threading.Event())
    world.until(lambda: leader(world) == made.name, "a leader")
    running.stop.set()
    running.join(3)
