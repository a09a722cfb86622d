"""A long run gives way to others after its time slice, and goes on wherever there is room."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from cases.world import World

from qflow import Step, SyncStep

STEPS = 40


@pytest.mark.world(slots=1, time_slice="100ms")
def test_runs_take_turns_and_change_workers(world: World) -> None:
    ran: Counter[str] = Counter()

    def work(run: str) -> None:
        ran[run] += 1
        time.sleep(0.02)

    @world.app.function("long", trigger="go")
    def long(step: SyncStep, run) -> None:  # type: ignore[no-untyped-def]
        for n in range(STEPS):
            step.run(f"s{n}", work, run.id)

    @world.app.function("along", trigger="go")
    async def along(step: Step, run) -> None:  # type: ignore[no-untyped-def]
        for n in range(STEPS):
            await step.run(f"s{n}", work, run.id)

    world.worker()
    event = world.send("go")
    runs = [world.run_of(event, name) for name in ("long", "along")]

    def claims(run: str) -> list[str]:
        return [told["w"] for told in world.look(run).told("claim")]

    world.until(lambda: all(len(claims(run)) > 1 for run in runs), "both to have taken turns")
    world.worker()
    world.until(lambda: any(len(set(claims(run))) == 2 for run in runs), "one to change places")
    ended = [world.until_status(run, "completed") for run in runs]
    assert ran == {run.id: STEPS for run in ended}
    assert world.counter("fenced") == world.counter("deaths") == 0


@pytest.mark.world(time_slice="100ms")
def test_no_turn_is_taken_while_there_is_room(world: World) -> None:
    @world.app.function("long", trigger="go")
    def long(step: SyncStep) -> None:
        for n in range(12):
            step.run(f"s{n}", time.sleep, 0.02)

    world.worker()
    assert len(world.outcome("long", "go").told("claim")) == 1
