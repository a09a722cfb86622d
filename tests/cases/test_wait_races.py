"""An event, a look-back, a time-out and a cancelled branch meet at one moment: exactly one decides."""

from __future__ import annotations

import random
import threading
from collections import Counter

from cases.world import World

from qflow import Event, SyncStep
from qflow.read.audit import audit

RUNS = 60


def test_no_event_falls_between_look_back_and_wait(world: World) -> None:
    chance = random.Random(7)

    @world.app.function("order", trigger="order/created")
    def order(event: Event, step: SyncStep) -> int:
        step.run("a while", threading.Event().wait, event.data["seconds"])
        paid = step.wait_for_event("paid", "order/paid", match="data.id", timeout="1m")
        assert paid is not None
        return int(paid.data["n"])

    world.worker(slots=8)
    sent = []
    for n in range(RUNS):  # the payment comes before, while and after its run begins to wait
        seconds = chance.uniform(0, 0.02)
        sent.append(world.send("order/created", {"id": n, "seconds": seconds}))
        threading.Event().wait(chance.uniform(0, 0.02))
        world.send("order/paid", {"id": n, "n": n})
    outputs = [world.ended(event, "order", 30).output for event in sent]
    assert outputs == list(range(RUNS))
    waits = [world.look(world.run_of(event, "order")).told("wait") for event in sent]
    assert all(len(told) == 1 for told in waits)
    assert audit(world.redis, world.keys, pause_s=0.02).findings == ()


def test_an_event_and_a_time_out_are_decided_once(world: World) -> None:
    @world.app.function("order", trigger="order/created")
    def order(step: SyncStep) -> bool:
        return step.wait_for_event("paid", "order/paid", match="data.id", timeout=0.1) is not None

    world.worker(slots=8)
    sent = [world.send("order/created", {"id": n}) for n in range(RUNS)]
    for event in sent:
        run = world.run_of(event, "order")
        world.until(lambda run=run: world.redis.call("HGET", world.keys.run(run), "forked"))
    for n in range(RUNS):
        world.send("order/paid", {"id": n})
        threading.Event().wait(0.002)
    came = Counter[bool]()
    for event in sent:
        run = world.ended(event, "order")
        came[run.output] += 1
        assert len(run.told("step")) == 1, "settled twice"
    assert came.total() == RUNS
    assert world.redis.call("ZCARD", world.keys.scheduled) == 0


def test_events_that_came_before_anybody_ever_waited_are_found(world: World) -> None:
    """The stream is read from where the run began: routers have noted nothing yet."""
    go = threading.Event()

    @world.app.function("order", trigger="order/created")
    def order(step: SyncStep) -> list[int]:
        step.run("hold", go.wait, 20)
        got = []
        for _ in range(3):
            said = step.wait_for_event("said", "order/said", match="data.id", timeout="1m")
            assert said is not None
            got.append(said.data["n"])
        return got

    world.worker()
    sent = world.send("order/created", {"id": 1})
    world.run_of(sent, "order")
    for n in range(3):
        world.send("order/said", {"id": 1, "n": n})
        world.send("order/said", {"id": 2, "n": 9})
    world.until(lambda: world.redis.call("XPENDING", world.keys.events, "router")[0] == 0)
    go.set()
    assert world.ended(sent, "order").output == [0, 1, 2]
