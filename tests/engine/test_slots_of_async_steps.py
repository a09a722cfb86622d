"""Blocking steps of async handlers have a place each, and none keeps the worker from leaving."""

from __future__ import annotations

import threading

from cases.world import World

from qflow import Step


def test_as_many_at_once_as_there_are_slots(world: World) -> None:
    barrier = threading.Barrier(12)

    @world.app.function("meet", trigger="go", retries=0)
    async def meet(step: Step) -> None:
        await step.run("meet", barrier.wait, 10)

    world.worker(slots=12)
    events = [world.send("go") for _ in range(12)]
    for event in events:
        assert world.ended(event, "meet").status == "completed"


def test_a_step_that_outlasts_its_time_out_does_not_keep_the_process(world: World) -> None:
    child = world.spawn_worker(
        """
        import time
        from qflow import App
        app = App("tests")

        @app.function("slow", trigger="go", retries=0, timeout="100ms")
        async def slow(step):
            await step.run("slow", time.sleep, 60)

        @app.function("slow-too", trigger="go", retries=0, timeout="100ms")
        def slow_too(step):
            step.run("slow", time.sleep, 60)
        """
    )
    event = world.send("go")
    for function in ("slow", "slow-too"):
        assert world.ended(event, function).error["name"] == "StepTimeout"
    child.terminate()
    assert child.wait(10) == 0
