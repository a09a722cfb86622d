"""A step that used its attempts raises StepError: catch it, or the run fails."""

from __future__ import annotations

import json

import pytest
from cases.world import FAST, World

from qflow import NonRetriableError, Step, StepError, SyncStep


def unreachable() -> None:
    raise ConnectionError("primary is down")


def cached() -> str:
    return "cached"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_fallback(world: World, kind: str) -> None:
    if kind == "sync":

        @world.app.function("careful", trigger="go", retries=1, backoff=FAST)
        def careful(step: SyncStep) -> str:
            try:
                return step.run("primary", unreachable)
            except StepError as error:
                assert error.name == "ConnectionError"
                return step.run("fallback", cached)

    else:

        @world.app.function("careful", trigger="go", retries=1, backoff=FAST)
        async def careful(step: Step) -> str:
            try:
                return await step.run("primary", unreachable)
            except StepError as error:
                assert error.name == "ConnectionError"
                return await step.run("fallback", cached)

    world.worker()
    run = world.outcome("careful", "go")
    assert run.output == "cached"
    assert [(told["id"], told["ok"]) for told in run.told("step")] == [
        ("primary", False),
        ("fallback", True),
    ]
    assert json.loads(run.steps["primary"])["error"]["message"] == "primary is down"


def test_uncaught_fails_the_run_at_once(world: World) -> None:
    entered = []

    @world.app.function("careless", trigger="go", retries=1, backoff=FAST)
    def careless(step: SyncStep) -> None:
        entered.append(1)
        step.run("primary", unreachable)

    world.worker()
    run = world.outcome("careless", "go")
    assert run.error["name"] == "ConnectionError"
    assert run.error["step"] == "primary"
    assert "in unreachable" in run.error["traceback"]
    assert len(entered) == 2, "the handler is not tried again for a step that has failed"
    assert world.until(lambda: world.emitted("run.ended"))[0]["status"] == "failed"


def test_handler_code_has_a_budget_of_its_own(world: World) -> None:
    entered, ran = [], []

    def flaky() -> int:
        ran.append(1)
        if len(ran) < 3:
            raise ValueError("not yet")
        return len(ran)

    @world.app.function("fragile", trigger="go", retries=2, backoff=FAST)
    def fragile(step: SyncStep, run) -> list[int]:  # type: ignore[no-untyped-def]
        value = step.run("flaky", flaky)
        entered.append(run.attempt)
        if len(entered) < 3:
            raise RuntimeError("the handler's own")
        return [value, run.attempt]

    world.worker()
    run = world.outcome("fragile", "go")
    assert run.output == [3, 2]
    assert len(ran) == 3
    assert entered == [0, 1, 2]
    assert [told["a"] for told in run.told("retry") if not told["id"]] == [0, 1]


def test_handler_code_that_fails_for_good(world: World) -> None:
    entered = []

    @world.app.function("broken", trigger="go", retries=1, backoff=FAST)
    def broken() -> None:
        entered.append(1)
        raise LookupError("lost")

    @world.app.function("hopeless", trigger="go", retries=9)
    async def hopeless() -> None:
        raise NonRetriableError("no use")

    world.worker()
    event = world.send("go")
    error = world.ended(event, "broken").error
    assert (error["name"], error["message"], error.get("step", "")) == ("LookupError", "lost", "")
    assert len(entered) == 2
    assert world.ended(event, "hopeless").error["message"] == "no use"


def test_an_error_with_half_a_surrogate_pair_fails_the_run(world: World) -> None:
    @world.app.function("odd", trigger="go", retries=1, backoff=FAST)
    def odd(step: SyncStep) -> None:
        def bad() -> None:
            raise ValueError("half \ud800")

        step.run("bad", bad)

    world.worker()
    assert "half" in world.outcome("odd", "go").error["message"]
