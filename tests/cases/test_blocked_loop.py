"""Async code that blocks the event loop is reported with its line, and repeats nothing."""

from __future__ import annotations

import time

import pytest
from cases.world import World

from qflow import Step


@pytest.mark.world(lease="1s")
def test_reported_with_its_line_and_runs_are_kept(world: World) -> None:
    ran: list[int] = []

    async def block(n: int) -> int:
        ran.append(n)
        if n == 0:
            time.sleep(2.5)  # THE LINE
        return n

    @world.app.function("blocking", trigger="go", retries=0)
    async def blocking(event, step: Step) -> int:  # type: ignore[no-untyped-def]
        return await step.run("block", block, event.data["n"])

    world.worker()
    events = [world.send("go", {"n": n}) for n in range(8)]
    runs = [world.ended(event, "blocking") for event in events]
    assert [run.output for run in runs] == list(range(8))
    assert sorted(ran) == list(range(8)), "busy code never looks dead: nothing runs twice"
    assert world.counter("fenced") == world.counter("deaths") == 0
    told = world.emitted("loop.blocked")
    with open(__file__) as source:
        line = next(n for n, text in enumerate(source, 1) if "# THE LINE" in text)
    assert f"{__file__}:{line}" in told[0]["where"]
    assert told[0]["seconds"] >= 1
