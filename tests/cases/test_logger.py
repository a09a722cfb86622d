"""run.logger writes a line once, however often the handler is entered again."""

from __future__ import annotations

import logging

import pytest
from cases.world import FAST, World

from qflow import Step, SyncStep


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_silent_on_replay(world: World, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    ran = []

    def flaky() -> None:
        ran.append(1)
        if len(ran) == 1:
            raise ValueError("once")

    if kind == "sync":

        @world.app.function("chatty", trigger="go", backoff=FAST)
        def chatty(step: SyncStep, run) -> None:  # type: ignore[no-untyped-def]
            run.logger.info("begin")
            step.run("one", lambda: run.logger.info("in one"))
            run.logger.info("after one")
            step.run("flaky", flaky)
            run.logger.info("after flaky")
            step.sleep("nap", 0.01)
            run.logger.info("end")

    else:

        @world.app.function("chatty", trigger="go", backoff=FAST)
        async def chatty(step: Step, run) -> None:  # type: ignore[no-untyped-def]
            run.logger.info("begin")
            await step.run("one", lambda: run.logger.info("in one"))
            run.logger.info("after one")
            await step.run("flaky", flaky)
            run.logger.info("after flaky")
            await step.sleep("nap", 0.01)
            run.logger.info("end")

    world.worker()
    with caplog.at_level(logging.INFO):
        assert world.outcome("chatty", "go").status == "completed"
    lines = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    wanted = ["begin", "in one", "after one", "after flaky", "end"]
    assert [line for line in lines if line in wanted] == wanted


def test_a_new_attempt_of_the_handler_speaks_again_after_its_steps(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    @world.app.function("chatty", trigger="go", retries=1, backoff=FAST)
    def chatty(step: SyncStep, run) -> None:  # type: ignore[no-untyped-def]
        run.logger.info("begin")
        step.run("one", lambda: 1)
        run.logger.info("attempt %d", run.attempt)
        if run.attempt == 0:
            raise ValueError("once")

    world.worker()
    with caplog.at_level(logging.INFO):
        assert world.outcome("chatty", "go").status == "completed"
    lines = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    wanted = ["begin", "attempt 0", "attempt 1"]
    assert [line for line in lines if line in wanted] == wanted
