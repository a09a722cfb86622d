"""A long run gives way to others after its time slice, and goes on wherever there is room."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from cases.world import World

from qflow import Step, SyncStep

STEPS = 12


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
    world.worker()
    events = [world.send("go") for _ in range(3)]
    runs = [world.ended(event, name) for event in events for name in ("long", "along")]
    assert [run.status for run in runs] == ["completed"] * 6
    assert ran == {run.id: STEPS for run in runs}
    claims = {run.id: [told["w"] for told in run.told("claim")] for run in runs}
    assert any(len(workers) > 1 for workers in claims.values()), "somebody gave way"
    assert any(len(set(workers)) == 2 for workers in claims.values()), "somebody changed places"
    assert world.counter("fenced") == world.counter("deaths") == 0


@pytest.mark.world(time_slice="100ms")
def test_no_turn_is_taken_while_there_is_room(world: World) -> None:
    @world.app.function("long", trigger="go")
    def long(step: SyncStep) -> None:
        for n in range(STEPS):
            step.run(f"s{n}", time.sleep, 0.02)

    world.worker()
    assert len(world.outcome("long", "go").told("claim")) == 1
