"""A suspended frame whose event loop is gone ends without a word: its run goes on from Redis."""

from __future__ import annotations

import asyncio
import gc
import warnings

from cases.world import World

from qflow import Step


def test_a_group_that_answers_its_end_with_an_error(world: World) -> None:
    @world.app.function("group", trigger="go", retries=0)
    async def group(step: Step) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(step.wait_for_event("a", "a"))
            await step.wait_for_event("b", "b")  # ended here, the group still waits for its task

    running = world.worker()
    run = world.run_of(world.send("go"), "group")
    world.until(lambda: world.redis.call("HGET", world.keys.run(run), "status") == b"waiting")
    slots = running.worker.slots
    world.until(lambda: slots.suspended() == [run], "the frame to be kept")
    world.stop([running])
    loop = slots._loop()
    loop.call_soon_threadsafe(loop.stop)
    world.until(lambda: not loop.is_running(), "the loop to stop")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for task in asyncio.all_tasks(loop):
            if (frame := task.get_coro()) is not None:
                frame.close()
        gc.collect()
    assert [str(one.message) for one in told if "never awaited" in str(one.message)] == []
    assert world.emitted("loop.failed") == []
    assert world.look(run).status == "waiting"
