"""A step inside a step is a clear error and is not tried again."""

from __future__ import annotations

from cases.world import World

from qflow import Step, SyncStep


def test_in_a_sync_handler(world: World) -> None:
    @world.app.function("nested", trigger="go", retries=5)
    def nested(step: SyncStep) -> None:
        step.run("outer", lambda: step.run("inner", lambda: 1))

    world.worker()
    _is_refused(world)


def test_in_an_async_handler(world: World) -> None:
    @world.app.function("nested", trigger="go", retries=5)
    async def nested(step: Step) -> None:
        async def outer() -> int:
            return await step.run("inner", lambda: 1)

        await step.run("outer", outer)

    world.worker()
    _is_refused(world)


def test_in_an_async_step_of_a_sync_handler(world: World) -> None:
    @world.app.function("nested", trigger="go", retries=5)
    def nested(step: SyncStep) -> None:
        async def outer() -> int:
            return step.run("inner", lambda: 1)

        step.run("outer", outer)

    world.worker()
    _is_refused(world)


def _is_refused(world: World) -> None:
    run = world.outcome("nested", "go")
    assert run.error["name"] == "NestedStepError"
    assert "'inner' was called inside step 'outer'" in run.error["message"]
    assert run.error["step"] == "outer"
    assert list(run.steps) == ["outer"]
    assert not run.told("retry")
