"""The same step id used again in one run becomes id:1, id:2."""

from __future__ import annotations

import asyncio

from cases.world import World

from qflow import Step, SyncStep


def test_repeated_ids_are_numbered_the_same_on_replay(world: World) -> None:
    ran = []

    def note(n: int) -> int:
        ran.append(n)
        return n

    @world.app.function("loop", trigger="go")
    def loop(step: SyncStep) -> list[int]:
        first = [step.run("item", note, n) for n in range(3)]
        step.sleep("item", 0.01)
        return first + [step.run("item", note, 9)]

    world.worker()
    run = world.outcome("loop", "go")
    assert run.output == [0, 1, 2, 9]
    assert list(run.steps) == ["item", "item:1", "item:2", "item:3", "item:4"]
    assert ran == [0, 1, 2, 9]


def test_repeated_ids_in_a_gather(world: World) -> None:
    ran = []

    async def note(n: int) -> int:
        ran.append(n)
        return n

    @world.app.function("loop", trigger="go")
    async def loop(step: Step) -> list[int]:
        first = await asyncio.gather(*(step.run("item", note, n) for n in range(4)))
        await step.sleep("pause", 0.01)
        return [*first, await step.run("item", note, 9)]

    world.worker()
    run = world.outcome("loop", "go")
    assert run.output == [0, 1, 2, 3, 9]
    assert sorted(run.steps) == ["item", "item:1", "item:2", "item:3", "item:4", "pause"]
    assert (sorted(ran[:4]), ran[4:]) == ([0, 1, 2, 3], [9])


def test_an_id_that_is_no_name_fails_the_run(world: World) -> None:
    bad = ["", "a\nb", "x" * 501, "half \ud800"]

    @world.app.function("named", trigger="go", retries=5)
    def named(event, step: SyncStep) -> None:  # type: ignore[no-untyped-def]
        step.run(bad[event.data["n"]], lambda: None)

    world.worker()
    for n in range(len(bad)):
        error = world.outcome("named", "go", {"n": n}).error
        assert error["name"] == "UsageError"
        assert "id" in error["message"]
