"""A paused function: new events are skipped or held, and no step begins until it is resumed."""

from __future__ import annotations

import threading

from cases.world import World

from qflow import SyncStep
from qflow.read.audit import audit
from qflow.store import pause, script


def set_paused(world: World, function: str, how: str) -> None:
    assert script.run(world.redis, pause.pause(world.keys, function, how)) == 1


def test_new_events_are_skipped(world: World) -> None:
    world.app.function("f", trigger="go")(lambda: "done")
    world.worker()
    set_paused(world, "f", "skip")
    found = world.ended(world.send("go"), "f")
    assert (found.status, found.fields["reason"]) == ("skipped", "its function is paused")
    pause.unpause(world.redis, world.keys, "f")
    assert world.outcome("f", "go").output == "done"
    assert world.look(found.id).status == "skipped", "there is no back-fill"


def test_new_events_are_held_and_start_on_resume(world: World) -> None:
    world.app.function("f", trigger="go")(lambda: "done")
    world.app.function("g", trigger="go")(lambda: "done")
    world.worker()
    set_paused(world, "f", "hold")
    events = [world.send("go") for _ in range(5)]
    runs = [world.run_of(event, "f") for event in events]
    for event in events:
        assert world.ended(event, "g").status == "completed"
    assert [world.look(run).status for run in runs] == ["queued"] * 5
    assert audit(world.redis, world.keys, 0.01).findings == ()
    assert pause.unpause(world.redis, world.keys, "f").queued == 5
    for event in events:
        assert world.ended(event, "f").output == "done"
    assert world.redis.call("EXISTS", world.keys.held("f"), world.keys.paused) == 0


def test_a_run_that_executes_stops_at_its_next_step(world: World) -> None:
    began, go_on = threading.Event(), threading.Event()
    ran: list[int] = []

    def first() -> None:
        ran.append(1)
        began.set()
        assert go_on.wait(10)

    @world.app.function("f", trigger="go")
    def f(step: SyncStep) -> str:
        step.run("first", first)
        step.run("second", ran.append, 2)
        return "done"

    worker = world.worker()
    event = world.send("go")
    assert began.wait(10)
    set_paused(world, "f", "skip")
    world.until(lambda: "f" in worker.worker._paused, "the worker to hear of it")
    go_on.set()
    run = world.run_of(event, "f")
    world.until(lambda: world.redis.call("LLEN", world.keys.held("f")), "the run to be held")
    found = world.look(run)
    assert (found.status, list(found.steps), ran) == ("queued", ["first"], [1])
    assert audit(world.redis, world.keys, 0.01).findings == ()
    pause.unpause(world.redis, world.keys, "f")
    assert world.ended(event, "f").output == "done"
    assert ran == [1, 2]


def test_a_sleep_that_ends_meanwhile(world: World) -> None:
    @world.app.function("f", trigger="go")
    def f(step: SyncStep) -> str:
        step.sleep("short", "100ms")
        return "done"

    world.worker()
    event = world.send("go")
    world.until_status(world.run_of(event, "f"), "waiting")
    set_paused(world, "f", "skip")
    world.until(lambda: world.redis.call("LLEN", world.keys.held("f")), "the run to be held")
    pause.unpause(world.redis, world.keys, "f")
    assert world.ended(event, "f").output == "done"


def test_the_rescuer_finishes_a_resume_that_was_broken_off(world: World) -> None:
    world.app.function("f", trigger="go")(lambda: "done")
    world.worker()
    set_paused(world, "f", "hold")
    event = world.send("go")
    world.run_of(event, "f")
    world.redis.call("HSET", world.keys.paused, "f", pause.RESUMING)
    assert world.ended(event, "f").output == "done"


def test_a_skipped_run_does_not_use_up_its_idempotency_value(world: World) -> None:
    world.app.function("f", trigger="go", idempotency="event.data.n")(lambda: "done")
    world.worker()
    set_paused(world, "f", "skip")
    assert world.outcome("f", "go", {"n": 1}).status == "skipped"
    pause.unpause(world.redis, world.keys, "f")
    assert world.outcome("f", "go", {"n": 1}).output == "done"
    assert world.run_of(world.send("go", {"n": 1}), "f")
    assert world.counter("duplicates") == 1
