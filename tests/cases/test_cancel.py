"""Cancellation by hand: wherever a run stands it ends, and what executes it is told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest
from cases.world import FAST, World

from qflow import Run, Step, SyncStep
from qflow.read.audit import audit

PROMPT_S = 3.0
"""A beat comes every second at the latest; the rest is the machine's."""


def test_a_sleeping_run(world: World) -> None:
    after: list[int] = []

    @world.app.function("nap", trigger="go")
    def nap(step: SyncStep) -> None:
        step.sleep("long", "1d")
        after.append(1)

    world.worker()
    run = world.run_of(world.send("go"), "nap")
    world.until_status(run, "waiting")
    assert world.app.cancel(run)
    found = world.look(run)
    assert (found.status, found.fields["reason"]) == ("cancelled", "by app tests")
    assert world.redis.call("ZCARD", world.keys.scheduled) == 0
    assert not world.app.cancel(run), "it had ended before"
    assert not world.app.cancel("0" * 26), "there is none"
    assert after == []
    assert audit(world.redis, world.keys).findings == ()


def test_a_queued_run(world: World) -> None:
    world.app.function("f", trigger="go")(lambda: None)
    world.publish()
    run = world.run_of(world.send("go"), "f")
    assert world.app.cancel(run)
    assert world.redis.call("LLEN", world.keys.queue) == 0
    world.worker()
    assert world.outcome("f", "go").status == "completed"
    assert world.look(run).told("claim") == []
    assert world.counter("dropped") == 0


def test_an_async_step_is_interrupted(world: World) -> None:
    began, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    async def hang(run: Run) -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(run.cancelled)
            ended.set()
            raise

    @world.app.function("f", trigger="go", retries=3, backoff=FAST)
    async def f(step: Step, run: Run) -> None:
        await step.run("hang", hang, run)

    worker = world.worker()
    run = world.run_of(world.send("go"), "f")
    assert began.wait(10)
    at = time.monotonic()
    assert world.app.cancel(run)
    assert ended.wait(PROMPT_S), "the step was not told"
    assert time.monotonic() - at < PROMPT_S
    assert seen == [True]
    world.until(lambda: worker.worker.slots.free == worker.worker.slots.count, "its slot")
    assert world.look(run).status == "cancelled"
    assert world.look(run).told("retry") == []
    assert world.emitted("commit.fenced") == []


def test_an_async_step_of_a_sync_handler_is_interrupted(world: World) -> None:
    began, ended = threading.Event(), threading.Event()

    async def hang() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    @world.app.function("f", trigger="go", backoff=FAST)
    def f(step: SyncStep) -> None:
        step.run("hang", hang)

    worker = world.worker()
    run = world.run_of(world.send("go"), "f")
    assert began.wait(10)
    assert world.app.cancel(run)
    assert ended.wait(PROMPT_S)
    world.until(lambda: worker.worker.slots.free == worker.worker.slots.count, "its slot")
    assert world.look(run).status == "cancelled"


def test_a_sync_step_may_look_and_the_handler_goes_no_further(world: World) -> None:
    began = threading.Event()
    after: list[int] = []

    def work(run: Run) -> None:
        began.set()
        deadline = time.monotonic() + 10
        while not run.cancelled and time.monotonic() < deadline:
            time.sleep(0.01)
        assert run.cancelled

    @world.app.function("f", trigger="go")
    def f(step: SyncStep, run: Run) -> None:
        step.run("work", work, run)
        after.append(1)
        step.run("never", after.append, 2)

    worker = world.worker()
    run = world.run_of(world.send("go"), "f")
    assert began.wait(10)
    assert world.app.cancel(run)
    world.until(lambda: worker.worker.slots.free == worker.worker.slots.count, "its slot")
    found = world.look(run)
    assert (found.status, found.steps) == ("cancelled", {})
    assert after in ([], [1]), "the next step is where it ends"
    assert world.counter("fenced") == 0


def test_a_step_that_swallows_its_cancellation_changes_nothing(world: World) -> None:
    began = threading.Event()

    async def stubborn() -> str:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "done all the same"

    @world.app.function("f", trigger="go")
    async def f(step: Step) -> str:
        return await step.run("stubborn", stubborn)

    worker = world.worker()
    run = world.run_of(world.send("go"), "f")
    assert began.wait(10)
    assert world.app.cancel(run)
    world.until(lambda: worker.worker.slots.free == worker.worker.slots.count, "its slot")
    found = world.look(run)
    assert (found.status, found.steps, found.told("step")) == ("cancelled", {}, [])


def test_no_failure_handler_but_an_event(world: World) -> None:
    ran: list[str] = []
    world.app.function("f", trigger="go", on_failure=lambda event: ran.append("failed"))(
        lambda step: step.sleep("long", "1d")
    )
    world.app.function("tidy", trigger="qflow/function.cancelled")(
        lambda event: ran.append(event.data["reason"])
    )
    world.worker()
    run = world.run_of(world.send("go"), "f")
    world.until_status(run, "waiting")
    world.app.cancel(run)
    assert world.ended(f"{run}:cancelled", "tidy").status == "completed"
    assert ran == ["by app tests"]


@pytest.mark.world(lease="1s")
def test_a_run_of_a_dead_worker_is_not_rescued_after_it(world: World) -> None:
    world.write_module("""
        import time, qflow
        app = qflow.App("tests")
        @app.function("f", trigger="go")
        def f(step):
            step.run("hang", time.sleep, 60)
    """)
    world.app.function("f", trigger="go")(lambda: None)
    child = world.spawn("run_worker")
    world.until(lambda: world.redis.call("ZCARD", world.keys.leases), "a worker")
    run = world.run_of(world.send("go"), "f")
    world.until_status(run, "running")
    child.kill()
    assert world.app.cancel(run)
    world.until(lambda: world.redis.call("ZCARD", world.keys.leases) == 0, "its rescue")
    assert world.look(run).status == "cancelled"
    assert world.redis.call("LLEN", world.keys.queue) == 0
    assert world.emitted("worker.died")[0]["returned"] == 0
