"""A worker that is told to stop finishes or gives back what it holds, without using up an attempt."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from cases.world import World

from qflow import Step, SyncStep


class Gate:
    """A step that says when it runs and waits to be let through."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.ran = 0

    def __call__(self) -> int:
        self.ran += 1
        self.entered.set()
        assert self.open.wait(20)
        return self.ran


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture(params=["sync", "async"])
def gated(world: World, gate: Gate, request: pytest.FixtureRequest) -> World:
    if request.param == "sync":

        @world.app.function("gated", trigger="go", retries=0)
        def gated(step: SyncStep) -> list[int]:
            return [step.run("gate", gate), step.run("last", lambda: 2)]

    else:

        @world.app.function("gated", trigger="go", retries=0)
        async def gated(step: Step) -> list[int]:
            return [await step.run("gate", gate), await step.run("last", lambda: 2)]

    return world


def test_a_step_in_flight_ends_and_another_worker_goes_on(gated: World, gate: Gate) -> None:
    first = gated.worker()
    run = gated.run_of(gated.send("go"), "gated")
    assert gate.entered.wait(10)
    first.stop.set()
    gated.until(lambda: first.worker._draining, "it to drain")
    gate.open.set()
    assert first.join() is True
    given_back = gated.look(run)
    assert given_back.status == "queued"
    assert list(given_back.steps) == ["gate"]
    gated.worker()
    after = gated.until_status(run, "completed")
    assert after.output == [1, 2]
    assert len({told["w"] for told in after.told("claim")}) == 2
    assert [told["a"] for told in after.told("step")] == [0, 0]
    assert gated.counter("fenced") == gated.counter("deaths") == 0


def test_a_step_that_outlasts_the_grace_is_given_back(gated: World, gate: Gate) -> None:
    first = gated.worker(grace="100ms")
    run = gated.run_of(gated.send("go"), "gated")
    assert gate.entered.wait(10)
    first.stop.set()
    assert first.join() is False
    given_back = gated.look(run)
    assert given_back.status == "queued"
    assert given_back.fields["lane"].split("|")[2:4] == ["0", "0"], "no attempt used, no death"
    gate.open.set()
    gated.worker()
    after = gated.until_status(run, "completed")
    assert gate.ran == 2
    assert [told["a"] for told in after.told("step")] == [0, 0]
    assert not after.told("died") and not after.told("retry")


def test_queued_work_is_left_to_others(gated: World, gate: Gate) -> None:
    gate.open.set()
    first = gated.worker()
    gated.stop([first])
    events = [gated.send("go") for _ in range(5)]
    for event in events:
        gated.until_status(gated.run_of(event, "gated"), "queued")
    gated.worker()
    for event in events:
        assert gated.ended(event, "gated").status == "completed"


def test_a_stopped_worker_leaves_no_trace(gated: World, gate: Gate) -> None:
    gate.open.set()
    first = gated.worker()
    gated.outcome("gated", "go")
    gated.stop([first])
    keys = gated.keys
    assert gated.redis.call("ZCARD", keys.leases) == 0
    assert gated.redis.call("SCARD", keys.rq_queue_workers) == 0
    assert gated.redis.call("EXISTS", keys.rq_worker(first.name), keys.lanes(first.name)) == 0
