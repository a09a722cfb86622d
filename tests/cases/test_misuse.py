"""Steps used in ways that cannot work: a clear error at once, and no attempt is wasted."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from cases.world import World

from qflow import NonRetriableError, Step, SyncStep


def test_a_result_instead_of_a_function(world: World) -> None:
    @world.app.function("wrong", trigger="go", retries=5)
    def wrong(step: SyncStep) -> None:
        step.run("send", len("called already"))  # type: ignore[call-overload]

    world.worker()
    error = world.outcome("wrong", "go").error
    assert error["name"] == "UsageError"
    assert "step 'send' needs a function to call, not int" in error["message"]
    assert "step.run('send', fn, argument)" in error["message"]


def test_steps_on_other_threads(world: World) -> None:
    """They would have no order to be numbered and replayed in."""

    @world.app.function("wrong", trigger="go", retries=5)
    def wrong(step: SyncStep) -> None:
        errors: list[BaseException] = []

        def call() -> None:
            try:
                step.run("one", lambda: 1)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        raise errors[0]

    world.worker()
    run = world.outcome("wrong", "go")
    assert run.error["name"] == "UsageError"
    assert "another thread" in run.error["message"]
    assert run.steps == {}


def test_options_that_make_no_sense(world: World) -> None:
    bad: list[dict[str, Any]] = [{"retries": 99}, {"timeout": "soon"}, {"timeout": -1}]

    @world.app.function("wrong", trigger="go", retries=5)
    def wrong(event, step: SyncStep) -> None:  # type: ignore[no-untyped-def]
        step.options(**bad[event.data["n"]]).run("one", lambda: 1)

    world.worker()
    for n in range(len(bad)):
        error = world.outcome("wrong", "go", {"n": n}).error
        assert error["name"] == "DefinitionError"
        assert "step.options" in error["message"]


def test_a_handler_that_returns_too_much(world: World) -> None:
    @world.app.function("wrong", trigger="go", retries=5)
    def wrong() -> str:
        return "x" * (4 * 1024 * 1024 + 1)

    world.worker()
    error = world.outcome("wrong", "go").error
    assert error["name"] == "LimitError"
    assert "the value that the handler returned is" in error["message"]


def test_a_task_group_with_a_step_that_failed_for_good(world: World) -> None:
    entered = []

    def bad() -> None:
        raise NonRetriableError("no use")

    @world.app.function("grouped", trigger="go", retries=5)
    async def grouped(step: Step) -> None:
        entered.append(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(step.run("bad", bad))

    world.worker()
    run = world.outcome("grouped", "go")
    assert run.error["name"] == "ExceptionGroup"
    assert "NonRetriableError: no use" in run.error["traceback"]
    assert entered == [1]
