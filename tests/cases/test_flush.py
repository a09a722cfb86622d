"""A finished step is kept soon, even when the handler's own code takes its time after it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from cases.world import World

from qflow import Step, SyncStep


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_step_is_kept_while_the_handler_computes(world: World, kind: str) -> None:
    go_on = threading.Event()

    if kind == "sync":

        @world.app.function("busy", trigger="go")
        def busy(step: SyncStep) -> str:
            step.run("first", lambda: 1)
            go_on.wait(20)
            return step.run("second", lambda: "done")

    else:

        @world.app.function("busy", trigger="go")
        async def busy(step: Step) -> str:
            await step.run("first", lambda: 1)
            await asyncio.to_thread(go_on.wait, 20)
            return await step.run("second", lambda: "done")

    world.worker()
    run = world.run_of(world.send("go"), "busy")
    try:
        world.until(lambda: world.look(run).steps == {"first": '{"ok":1}'}, "the first step kept")
    finally:
        go_on.set()
    assert world.until_status(run, "completed").output == "done"


def test_code_after_a_kept_step_is_entered_again_without_the_step(world: World) -> None:
    """The worker loses the run while the handler computes: another goes on after the step."""
    steps, entered = [], []
    go_on = threading.Event()

    @world.app.function("busy", trigger="go")
    def busy(step: SyncStep) -> str:
        step.run("first", steps.append, 1)
        entered.append(1)
        if len(entered) == 1:
            go_on.wait(20)
        return step.run("second", lambda: "done")

    first = world.worker(grace="100ms")
    run = world.run_of(world.send("go"), "busy")
    world.until(lambda: world.look(run).steps, "the first step kept")
    first.stop.set()  # its grace ends while the handler computes: the run is given back
    assert first.join() is False
    world.worker()
    assert world.until_status(run, "completed").output == "done"
    go_on.set()
    assert (len(steps), len(entered)) == (1, 2)
    world.until(lambda: world.emitted("commit.fenced"), "the first worker's late commit refused")
    assert world.look(run).output == "done"
    assert world.counter("fenced") == 1
