"""What keeps killing its worker is failed instead of killing every worker in turn."""

from __future__ import annotations

import signal

import pytest
from cases.world import Outcome, World

pytestmark = pytest.mark.world(lease="400ms", slots=2)

HEAD = """
    import os, signal
    from qflow import App, StepError
    app = App("tests")

    def die():
        os.kill(os.getpid(), signal.SIGKILL)
"""


def until_ended(world: World, source: str) -> tuple[Outcome, int]:
    """Start one worker after the other until the run has ended; return it and how many were killed."""
    child = world.spawn_worker(HEAD + source)
    event = world.send("go")
    run = ""
    killed = 0

    def ended() -> bool:
        nonlocal child, killed, run
        if child.poll() is not None:
            assert child.returncode == -signal.SIGKILL
            killed += 1
            child = world.spawn("run_worker")
        run = run or (world.redis.call("GET", world.keys.seen("poison", event)) or b"").decode()
        return bool(run) and "ended" in world.look(run).fields

    world.until(ended, "the run to end", 60)
    return world.look(run), killed


def test_a_step_is_failed_after_three_deaths_and_can_be_caught(world: World) -> None:
    source = """
    @app.function("poison", trigger="go", retries=0)
    def poison(step):
        step.run("before", lambda: 1)
        try:
            step.run("poison", die)
        except StepError as error:
            return step.run("after", lambda: error.name)
    """
    run, killed = until_ended(world, source)
    assert run.output == "WorkerDied"
    assert killed == 3
    assert len(run.told("died")) == world.counter("deaths") == 3
    assert "its worker died 3 times" in run.steps["poison"]


def test_the_first_step_too(world: World) -> None:
    source = """
    @app.function("poison", trigger="go", retries=0)
    async def poison(step):
        await step.run("poison", die)
    """
    run, killed = until_ended(world, source)
    assert (run.error["name"], run.error["step"]) == ("WorkerDied", "poison")
    assert killed == 3


def test_a_handler_that_kills_before_any_step_fails_its_run(world: World) -> None:
    source = """
    @app.function("poison", trigger="go", retries=9)
    def poison(step):
        die()
    """
    run, killed = until_ended(world, source)
    assert run.error["name"] == "WorkerDied"
    assert "on entering the handler" in run.error["message"]
    assert killed == 3


def test_a_handler_that_kills_right_after_a_sleep_fails_its_run(world: World) -> None:
    source = """
    @app.function("poison", trigger="go", retries=9)
    def poison(step):
        step.sleep("nap", 0.01)
        die()
    """
    run, killed = until_ended(world, source)
    assert run.error["name"] == "WorkerDied"
    assert killed <= 6


def test_what_ran_beside_it_is_not_failed_with_it(world: World) -> None:
    source = """
    import time

    @app.function("poison", trigger="go", retries=0)
    def poison(step):
        time.sleep(0.1)
        step.run("poison", die)

    @app.function("innocent", trigger="go", retries=0)
    def innocent(step):
        return step.run("long", lambda: time.sleep(0.8) or "done")
    """
    child = world.spawn_worker(HEAD + source)
    event = world.send("go")
    runs = [world.run_of(event, name) for name in ("poison", "innocent")]

    def ended() -> bool:
        nonlocal child
        if child.poll() is not None:
            child = world.spawn("run_worker")
        return all("ended" in world.look(run).fields for run in runs)

    world.until(ended, "both to end", 60)
    assert world.look(runs[0]).error["name"] == "WorkerDied"
    assert world.look(runs[1]).output == "done"
