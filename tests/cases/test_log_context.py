"""Every line that a handler or step logs says which run it is about, with LogContext."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from cases.world import World

import qflow
from qflow import Event, Step, SyncStep, logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where this process logs to; logging is as it was afterwards."""
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    made = io.StringIO()
    logs.configure("json", "info", "worker", made)
    yield made
    root.handlers[:] = handlers
    root.setLevel(level)
    logs._output.logger, logs._output.level = None, logging.CRITICAL
    structlog.reset_defaults()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_lines_of_any_logger_name_their_run(world: World, stream: io.StringIO, kind: str) -> None:
    app = qflow.App(
        "a", redis_url=world.url, namespace=world.keys.ns, middleware=[logs.LogContext()]
    )

    def work() -> None:
        logging.getLogger("contacts").info("in the step")
        structlog.get_logger().info("structured")

    if kind == "sync":

        @app.function("f", trigger="go")
        def f(step: SyncStep) -> None:
            logging.getLogger("contacts").info("in the handler")
            step.options(timeout="10s").run("work", work)
    else:

        @app.function("f", trigger="go")
        async def af(step: Step) -> None:
            logging.getLogger("contacts").info("in the handler")
            await step.run("work", work)

    world.worker(app)
    run = world.ended(app.send(Event("go")), "f").id
    logging.getLogger("contacts").info("elsewhere")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    found = [(line.get("message", line["event"]), line) for line in lines]
    told = {
        message.removeprefix("contacts: "): (
            line.get("run"),
            line.get("function"),
            line.get("step"),
        )
        for message, line in found
    }
    assert told == {
        "in the handler": (run, "f", None),
        "in the step": (run, "f", "work"),
        "structured": (run, "f", "work"),
        "elsewhere": (None, None, None),
    }


def test_on_a_terminal(stream: io.StringIO) -> None:
    logs.configure("console", "info", "worker", stream)
    context = logs.LogContext()
    run = qflow.Run("R", "f", 0, None)
    with context.run(run), context.step(qflow.StepContext(run, "send", 0)):
        logging.getLogger("contacts").info("page 3")
    assert stream.getvalue().endswith("run R f/send contacts: page 3 logger=contacts\n")
