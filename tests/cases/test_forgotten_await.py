"""A step that a handler calls and never awaits fails its run: it would complete without it."""

from __future__ import annotations

import asyncio

from cases.world import World

from qflow import Step


def test_it_is_named_with_the_remedy_and_not_tried_again(world: World) -> None:
    ran: list[str] = []

    @world.app.function("hasty", trigger="go", retries=3)
    async def hasty(step: Step) -> str:
        await step.run("first", ran.append, "first")
        step.run("second", ran.append, "second")  # type: ignore[unused-coroutine]
        return "done"

    world.worker()
    run = world.outcome("hasty", "go")
    message = run.error["message"]
    assert "function 'hasty' called step.run('second') and never awaited it" in message
    assert "write await step.run('second', …)" in message
    assert ran == ["first"]
    assert run.told("retry") == []


def test_every_kind_of_step(world: World) -> None:
    @world.app.function("hasty", trigger="go", retries=0)
    async def hasty(step: Step) -> None:
        step.sleep(id="nap", duration="1s")  # type: ignore[unused-coroutine]

    world.worker()
    assert "step.sleep('nap')" in world.outcome("hasty", "go").error["message"]


def test_a_task_that_has_begun_or_is_about_to_is_given_up_as_before(world: World) -> None:
    @world.app.function("race", trigger="go", retries=0)
    async def race(step: Step) -> str:
        tasks = [asyncio.create_task(step.sleep("long", "1d")) for _ in range(2)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(step.sleep("late", "1d")))
        return await step.run("quick", lambda: "quick")

    @world.app.function("at-once", trigger="go", retries=0)
    async def at_once(step: Step) -> str:
        task = asyncio.create_task(step.sleep("long", "1d"))
        return f"left {task.get_name()[:4]}"

    world.worker()
    event = world.send("go")
    assert world.ended(event, "race").output == "quick"
    assert world.ended(event, "at-once").output == "left Task"
