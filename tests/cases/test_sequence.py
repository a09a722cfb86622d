"""Steps run one after the other, each its own job; sync and async mix freely."""

from __future__ import annotations

import pytest
from cases.world import World

from qflow import Step, SyncStep


def double(number: int) -> int:
    return number * 2


async def triple(number: int) -> int:
    return number * 3


@pytest.fixture
def started(world: World) -> World:
    @world.app.function("plain", trigger="numbers/sent")
    def plain(event, step: SyncStep):  # type: ignore[no-untyped-def]
        first = step.run("double", double, event.data["n"])
        return step.run("triple", triple, number=first)

    @world.app.function("awaiting", trigger="numbers/sent")
    async def awaiting(step: Step, event):  # type: ignore[no-untyped-def]
        first = await step.run("double", double, event.data["n"])
        return await step.run("triple", triple, number=first)

    world.worker()
    return world


@pytest.mark.parametrize("function", ["plain", "awaiting"])
def test_steps_follow_each_other(started: World, function: str) -> None:
    run = started.outcome(function, "numbers/sent", {"n": 7})
    assert run.output == 42
    assert run.steps == {"double": '{"ok":14}', "triple": '{"ok":42}'}
    steps = run.told("step")
    assert [(step["id"], step["a"], step["ok"]) for step in steps] == [
        ("double", 0, True),
        ("triple", 0, True),
    ]
    assert run.told("end") == [{"t": "end", "status": "completed"}]
    assert len(run.told("claim")) == 1, "the worker goes on in the same frame"
    assert int(run.fields["created"]) <= int(run.fields["started"]) <= int(run.fields["ended"])


def test_many_runs_at_once(started: World) -> None:
    events = [started.send("numbers/sent", {"n": n}) for n in range(60)]
    for n, event in enumerate(events):
        for function in ("plain", "awaiting"):
            assert started.ended(event, function).output == n * 6
    assert started.counter("fenced") == started.counter("dropped") == 0
