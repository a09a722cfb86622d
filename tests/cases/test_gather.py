"""asyncio.gather and TaskGroup in an async handler: one step at a time for now, all of them kept."""

from __future__ import annotations

import asyncio

from cases.world import FAST, World

from qflow import NonRetriableError, Step, StepError


class Flaky:
    """Fails once."""

    def __init__(self) -> None:
        self.ran = 0

    async def __call__(self) -> str:
        self.ran += 1
        if self.ran == 1:
            raise ValueError("once")
        return "flaky"


def test_gather_with_a_retry(world: World) -> None:
    flaky, ran = Flaky(), []

    async def note(name: str) -> str:
        ran.append(name)
        await asyncio.sleep(0)
        return name

    @world.app.function("many", trigger="go", backoff=FAST)
    async def many(step: Step) -> list[str]:
        return await asyncio.gather(
            step.run("a", note, "a"), step.run("flaky", flaky), step.run("b", note, "b")
        )

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == ["a", "flaky", "b"]
    assert sorted(ran) == ["a", "b"]
    assert flaky.ran == 2
    assert len(world.until(lambda: world.emitted("run.ended"))) == 1


def test_gather_that_returns_exceptions(world: World) -> None:
    """It also catches what unwinds the handler; nothing may follow from that."""
    flaky = Flaky()

    def bad() -> None:
        raise NonRetriableError("bad")

    @world.app.function("many", trigger="go", backoff=FAST)
    async def many(step: Step) -> list[str]:
        results = await asyncio.gather(
            step.run("bad", bad), step.run("flaky", flaky), return_exceptions=True
        )
        return [r.name if isinstance(r, StepError) else str(r) for r in results]

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == ["NonRetriableError", "flaky"]
    ended = world.until(lambda: world.emitted("run.ended"))  # told after it is written
    assert [fields["status"] for fields in ended] == ["completed"]
    assert world.counter("fenced") == 0


def test_task_group_that_cancels_then_a_sleep(world: World) -> None:
    def bad() -> None:
        raise NonRetriableError("bad")

    @world.app.function("many", trigger="go")
    async def many(step: Step) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(step.run("bad", bad))
                group.create_task(step.run("slow", asyncio.sleep, 10))
        except* StepError:
            pass
        await step.sleep("nap", 0.05)
        return await step.run("last", lambda: "done")

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == "done"
    assert [told["id"] for told in run.told("sleep")] == ["nap"], "a sleep is slept once"


def test_task_group_unwound_by_a_retry(world: World) -> None:
    flaky = Flaky()

    @world.app.function("many", trigger="go", retries=1, backoff=FAST)
    async def many(step: Step) -> str:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(step.run("flaky", flaky))
            second = group.create_task(step.run("other", asyncio.sleep, 0.01, "other"))
        return first.result() + second.result()

    world.worker()
    run = world.outcome("many", "go")
    assert run.output == "flakyother"
    assert run.fields["attempt"] == "0"
    ended = world.until(lambda: world.emitted("run.ended"))  # told after it is written
    assert [fields["status"] for fields in ended] == ["completed"]


def test_timeout_around_a_step(world: World) -> None:
    cancelled = []

    async def slow() -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    @world.app.function("bounded", trigger="go", timeout="15s")
    async def bounded(step: Step) -> str:
        try:
            async with asyncio.timeout(0.05):
                await step.run("slow", slow)
        except TimeoutError:
            return await step.run("after", lambda: "went on")
        return ""

    world.worker()
    assert world.outcome("bounded", "go").output == "went on"
    world.until(lambda: cancelled, "the step to be cancelled with its handler's wait")
