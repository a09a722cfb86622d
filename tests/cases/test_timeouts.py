"""A time-out ends an attempt of a step, sync or async, and counts as a failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from cases.world import FAST, World

from qflow import Step, StepError, SyncStep


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_sync_step_of_a_sync_handler(world: World, release: threading.Event) -> None:
    @world.app.function("slow", trigger="go", retries=1, backoff=FAST, timeout="50ms")
    def slow(step: SyncStep) -> None:
        step.run("wait", release.wait, 20)

    world.worker()
    _timed_out(world)


def test_async_step_of_a_sync_handler(world: World) -> None:
    cancelled = []

    async def wait() -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    @world.app.function("slow", trigger="go", retries=1, backoff=FAST)
    def slow(step: SyncStep) -> None:
        step.options(timeout="50ms").run("wait", wait)

    world.worker()
    _timed_out(world)
    assert len(cancelled) == 2


def test_async_step_of_an_async_handler(world: World) -> None:
    cancelled = []

    async def wait() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            cancelled.append(1)

    @world.app.function("slow", trigger="go", retries=1, backoff=FAST, timeout="500ms")
    async def slow(step: Step) -> None:
        await step.run("wait", wait)  # it has begun by then, on the busiest machine

    world.worker()
    _timed_out(world, "0.5")
    assert len(cancelled) == 2


def test_sync_step_of_an_async_handler(world: World, release: threading.Event) -> None:
    @world.app.function("slow", trigger="go", retries=1, backoff=FAST, timeout="50ms")
    async def slow(step: Step) -> None:
        await step.run("wait", release.wait, 20)

    world.worker()
    _timed_out(world)


def test_it_can_be_caught_and_the_worker_goes_on(world: World, release: threading.Event) -> None:
    @world.app.function("slow", trigger="go", retries=0)
    def slow(step: SyncStep) -> str:
        try:
            step.options(timeout="30ms").run("wait", release.wait, 20)
        except StepError as error:
            name = error.name
            return step.run("after", lambda: name)
        return ""

    world.worker(slots=1)
    assert world.outcome("slow", "go").output == "StepTimeout"
    assert world.outcome("slow", "go").output == "StepTimeout", "the slot is free again"


def test_a_step_within_its_time_and_one_that_raises_TimeoutError_itself(world: World) -> None:
    def own() -> None:
        raise TimeoutError("the socket's")

    @world.app.function("quick", trigger="go", retries=0, timeout="5s")
    def quick(step: SyncStep) -> str:
        value = step.run("quick", lambda: "in time")
        try:
            step.run("own", own)
        except StepError as error:
            return f"{value}, {error.name}: {error.message}"
        return ""

    world.worker()
    assert world.outcome("quick", "go").output == "in time, TimeoutError: the socket's"


def _timed_out(world: World, seconds: str = "0.05") -> None:
    run = world.outcome("slow", "go")
    assert run.error["name"] == "StepTimeout"
    assert f"step 'wait' ran longer than its time-out of {seconds} s" in run.error["message"]
    assert len(run.told("retry")) == 1
