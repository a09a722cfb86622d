"""The worker: lost replies, dropped scripts, and what must not end it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from cases.world import World

from qflow import SyncStep, telemetry
from qflow.services import worker as worker_module
from qflow.store.run import claim
from qflow.store.script import run as execute


@pytest.fixture
def defined(world: World) -> World:
    @world.app.function("plain", trigger="go", retries=0)
    def plain(step: SyncStep) -> int:
        return step.run("one", lambda: 1)

    return world


@pytest.mark.world(lease="600ms")
def test_jobs_of_a_lost_reply_are_given_back(defined: World) -> None:
    """A claim was executed and its reply lost: the worker holds what it knows nothing of."""
    world = defined
    running = world.worker()
    world.stop(
        [each for each in list(world._running) if each is not running and each.name == "router"]
    )
    world.redis.call("DEL", world.keys.queue)
    world.serve(scheduler=False)
    held = threading.Event()

    def steal() -> bool:
        """Claim in the worker's name before it does so itself."""
        reply = execute(world.redis, claim(world.keys, running.name, 1, 60))
        if reply:
            held.set()
        return bool(reply)

    runs = []
    while not held.is_set():
        runs.append(world.run_of(world.send("go"), "plain"))
        steal()
    for run in runs:
        after = world.until_status(run, "completed")
        assert after.fields["lane"].split("|")[2:4] == ["0", "0"], "no attempt used, no death"
    assert world.counter("deaths") == 0


def test_scripts_flushed_all_the_time(defined: World) -> None:
    world = defined
    world.worker()
    events = []
    for n in range(60):
        events.append(world.send("go"))
        if n % 3 == 0:
            world.redis.call("SCRIPT", "FLUSH")
    for event in events:
        assert world.ended(event, "plain").output == 1
    assert world.counter("fenced") == world.counter("deaths") == 0


def test_connections_dropped_all_the_time(defined: World) -> None:
    world = defined
    ran: list[object] = []
    world.app.functions["plain"]

    @world.app.function("counted", trigger="count", retries=0)
    def counted(event, step: SyncStep) -> int:  # type: ignore[no-untyped-def]
        for n in range(5):
            step.run(f"s{n}", ran.append, (event.data["n"], n))
        return 5

    world.worker()
    events = []
    for n in range(40):
        events.append(world.send("count", {"n": n}))
        world.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    for event in events:
        assert world.ended(event, "counted", 30).output == 5
    assert world.counter("deaths") == world.counter("fenced") == 0
    assert len(set(ran)) == 200


def test_a_sink_that_fails_ends_nothing(defined: World) -> None:
    """Logging to a closed pipe, say."""
    world = defined

    def sink(name: str, _fields: Any) -> None:
        if name in ("loop.ticked", "run.claimed", "step.ended"):
            raise BrokenPipeError(name)

    telemetry.attach(sink)
    try:
        world.worker()
        event = world.send("go")
        run = world.run_of(event, "plain")
        telemetry.detach(sink)
        assert world.until_status(run, "completed", "failed").status == "completed"
    finally:
        if sink in telemetry._sinks:
            telemetry.detach(sink)


def test_one_job_that_cannot_be_read_ends_nothing(
    defined: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = defined
    real = worker_module.claimed  # type: ignore[attr-defined]  # imported there
    failed = threading.Event()

    def claimed(reply: list[Any]) -> Any:
        if not failed.is_set():
            failed.set()
            raise ValueError("what is this")
        return real(reply)

    monkeypatch.setattr(worker_module, "claimed", claimed)
    world.worker()
    first = world.run_of(world.send("go"), "plain")
    assert failed.wait(10)
    assert world.outcome("plain", "go").output == 1
    assert world.until_status(first, "completed").output == 1, "given back, since nobody attends it"


def test_a_worker_with_no_functions(world: World) -> None:
    running = world.worker()
    assert isinstance(running.name, str)
    world.stop([running])
