"""Singletons: one unfinished run at a time, the first or the newest."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from cases.world import World

from qflow import Event, Singleton, SyncStep, Throttle


@pytest.mark.parametrize("mode", ["skip", "cancel"])
def test_one_of_200_survives(world: World, mode: str) -> None:
    release = threading.Event()
    chosen = Singleton(mode=mode)  # type: ignore[arg-type]
    world.app.function("work", trigger="go", singleton=chosen)(
        lambda step: step.run("wait", release.wait, 10)
    )
    world.worker()
    world.serve(scheduler=False)
    sent = world.app.send([Event("go", data={"n": n}) for n in range(200)])
    runs = [world.run_of(event, "work") for event in sent]
    assert len(set(runs)) == 200
    release.set()
    status = Counter(
        world.until_status(run, "completed", "skipped", "cancelled").status for run in runs
    )
    assert status == {"completed": 1, "skipped" if mode == "skip" else "cancelled": 199}
    assert world.redis.call("KEYS", f"{world.keys.ns}:single:*") == []
    assert world.ended(world.send("go"), "work").status == "completed"


def test_values_are_apart_and_the_reason_is_told(world: World) -> None:
    def handler(step: SyncStep) -> None:
        step.sleep("long", "1h")

    world.app.function("work", trigger="go", singleton=Singleton(key="event.data.k"))(handler)
    world.worker()
    first = world.run_of(world.send("go", {"k": 1}), "work")
    other = world.run_of(world.send("go", {"k": 2}), "work")
    skipped = world.ended(world.send("go", {"k": 1}), "work")
    assert skipped.fields["reason"] == f"singleton: run {first} has not ended"
    free = [world.run_of(world.send("go"), "work") for _ in range(2)]
    for run in (other, *free):
        world.until_status(run, "waiting")


def test_after_a_throttle_the_lock_is_asked_when_the_run_starts(world: World) -> None:
    world.app.function(
        "work", trigger="go", singleton=Singleton(), throttle=Throttle(10, per="1s")
    )(lambda step: step.sleep("long", "1h"))
    world.worker()
    first, second = (world.run_of(world.send("go"), "work") for _ in range(2))
    ended = world.until_status(second, "skipped")
    assert ended.fields["reason"] == f"singleton: run {first} has not ended"
    assert world.redis.call("ZSCORE", world.keys.by_status("queued"), second) is None
