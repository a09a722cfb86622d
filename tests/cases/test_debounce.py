"""Debounce: one run for events that follow each other, with the newest of them."""

from __future__ import annotations

import threading
import time
from typing import Any

from cases.world import World

from qflow import Debounce, Event, SyncStep


def define(world: World, debounce: Debounce, **more: Any) -> None:
    def handler(event: Event[Any], step: SyncStep) -> int:
        return int(event.data["n"])

    world.app.function("work", trigger="go", debounce=debounce, **more)(handler)
    world.worker()


def test_the_newest_by_its_own_time_wins(world: World) -> None:
    define(world, Debounce("400ms"))
    now = int(time.time() * 1000)
    times = {1: now, 2: now + 20, 3: now + 10}
    sent = [world.send("go", {"n": n}, ts=ts) for n, ts in times.items()]
    runs = {world.run_of(event, "work") for event in sent}
    assert len(runs) == 1
    ended = world.ended(sent[0], "work")
    assert ended.output == 2
    assert ended.fields["merged"] == "2"
    later = world.outcome("work", "go", {"n": 4})
    assert later.id not in runs
    assert world.redis.call("KEYS", f"{world.keys.ns}:pending:*") == []


def test_the_wait_is_bounded(world: World) -> None:
    define(world, Debounce("300ms", timeout="500ms"))
    stop = threading.Event()

    def send_on() -> None:
        n = 0
        while not stop.wait(0.05):
            world.send("go", {"n": (n := n + 1)})

    first = world.send("go", {"n": 0})
    sender = threading.Thread(target=send_on)
    sender.start()
    try:
        ended = world.ended(first, "work")
    finally:
        stop.set()
        sender.join()
    waited = int(ended.fields["started"]) - int(ended.fields["created"])
    assert 490 <= waited < 1500


def test_keys_are_apart_and_a_gathering_run_can_be_cancelled(world: World) -> None:
    define(world, Debounce("1h", key="event.data.k"))
    one, two = (world.run_of(world.send("go", {"n": 1, "k": k}), "work") for k in "ab")
    assert one != two
    assert world.app.cancel(one)
    again = world.run_of(world.send("go", {"n": 2, "k": "a"}), "work")
    assert again not in (one, two)


def test_many_at_once_are_one_run(world: World) -> None:
    define(world, Debounce("500ms"))
    world.serve(scheduler=False)
    sent = world.app.send([Event("go", data={"n": n}) for n in range(200)])
    assert len({world.run_of(event, "work") for event in sent}) == 1
    assert world.ended(sent[0], "work").output == 199
