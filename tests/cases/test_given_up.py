"""A step that nobody waits for any more is stopped where it executes, in whatever worker that is."""

from __future__ import annotations

import asyncio
import threading

import pytest
from cases.world import World

from qflow import Step, SyncStep

pytestmark = pytest.mark.world(lease="900ms", slots=1)


class Hanging:
    """Steps that hang until they are cancelled."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.told = threading.Event()

    async def __call__(self) -> None:
        self.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.told.set()
            raise

    def wait_begun(self) -> str:
        assert self.began.wait(15)
        return "first"


async def first_of(*branches: asyncio.Task[str | None]) -> str | None:
    """Return what the first branch gives, and give the others up."""
    done, pending = await asyncio.wait(branches, return_when=asyncio.FIRST_COMPLETED)
    for loser in pending:
        loser.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return done.pop().result()


def test_the_loser_of_a_race_while_the_run_goes_on(world: World) -> None:
    hanging, entered = Hanging(), []

    @world.app.function("race", trigger="go", retries=0)
    async def race(step: Step) -> str | None:
        entered.append(1)
        won = await first_of(
            asyncio.ensure_future(step.run("hang", hanging)),
            asyncio.ensure_future(step.run("win", hanging.wait_begun)),
        )
        await step.wait_for_event("more", "more")
        return won

    world.worker()
    world.worker()
    event = world.send("go")
    run = world.run_of(event, "race")
    assert hanging.told.wait(15), "the loser was not stopped"
    assert world.look(run).status == "waiting"
    times = len(entered)
    world.send("more")
    done = world.ended(event, "race")
    assert done.output == "first"
    assert "hang" not in done.steps
    assert len(entered) <= times + 1, "the handler's frame was not taken for a cancelled one"
    assert world.emitted("commit.fenced") == []


def test_a_handler_that_ends_before_its_steps(world: World) -> None:
    hanging = Hanging()

    @world.app.function("race", trigger="go", retries=0)
    async def race(step: Step) -> str | None:
        return await first_of(
            asyncio.ensure_future(step.run("hang", hanging)),
            asyncio.ensure_future(step.run("win", hanging.wait_begun)),
        )

    world.worker()
    world.worker()
    assert world.outcome("race", "go").output == "first"
    assert hanging.told.wait(15)


def test_a_step_that_is_waited_for_goes_on_until_its_run_is_cancelled(world: World) -> None:
    hanging = Hanging()

    @world.app.function("pair", trigger="go", retries=0)
    def pair(step: SyncStep) -> None:
        step.parallel(
            lambda: step.run("hang", hanging), lambda: step.run("win", hanging.wait_begun)
        )

    world.worker()
    world.worker()
    run = world.run_of(world.send("go"), "pair")
    world.until(lambda: "win" in world.look(run).steps)
    assert not hanging.told.is_set(), "it is still waited for"
    assert world.app.cancel(run)
    assert hanging.told.wait(15)
