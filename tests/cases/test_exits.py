"""What ends a program elsewhere fails a step or run here, and the worker goes on."""

from __future__ import annotations

import asyncio
import sys

import pytest
from cases.world import World

from qflow import Step, SyncStep


async def aexit() -> None:
    sys.exit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("timeout", [None, "10s"])
@pytest.mark.parametrize("fn", [sys.exit, aexit, interrupt])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_in_a_step(world: World, fn: object, timeout: str | None, kind: str) -> None:
    if kind == "sync":

        @world.app.function("exits", trigger="go", retries=0, timeout=timeout)
        def exits(step: SyncStep) -> None:
            step.run("exit", fn)  # type: ignore[arg-type]

    else:

        @world.app.function("exits", trigger="go", retries=0, timeout=timeout)
        async def exits(step: Step) -> None:
            await step.run("exit", fn)  # type: ignore[arg-type]

    @world.app.function("next", trigger="next")
    async def following(step: Step) -> int:
        return await step.run("one", lambda: 1)

    world.worker(slots=1)
    expected = "KeyboardInterrupt" if fn is interrupt else "SystemExit"
    assert world.outcome("exits", "go").error["name"] == expected
    assert world.outcome("next", "next").output == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_in_a_handler(world: World, kind: str) -> None:
    if kind == "sync":

        @world.app.function("exits", trigger="go", retries=0)
        def exits() -> None:
            sys.exit("enough")

    else:

        @world.app.function("exits", trigger="go", retries=0)
        async def exits() -> None:
            sys.exit("enough")

    world.worker(slots=1)
    for _ in range(2):
        assert world.outcome("exits", "go").error["message"] == "enough"


def test_a_handler_that_cancels_itself(world: World) -> None:
    @world.app.function("cancels", trigger="go", retries=0)
    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    world.worker(slots=1)
    for _ in range(2):
        assert "cancelled" in world.outcome("cancels", "go").error["message"]


def test_a_handler_that_swallows_everything(world: World) -> None:
    """A bare except also catches what unwinds the handler; what it does then counts for nothing."""

    @world.app.function("greedy", trigger="go", retries=0)
    def greedy(step: SyncStep) -> str:
        try:
            step.sleep("nap", 0.05)
        except BaseException:
            return "swallowed"
        return "slept"

    world.worker()
    run = world.outcome("greedy", "go")
    assert run.output == "slept"
    assert len(world.until(lambda: world.emitted("run.ended"))) == 1
