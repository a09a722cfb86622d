"""RetryAfterError chooses when the next attempt starts."""

from __future__ import annotations

import datetime as dt

import pytest
from cases.world import World

from qflow import RetryAfterError, SyncStep

LONG_AFTER = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)


@pytest.mark.parametrize(
    ("after", "delay_ms"),
    [
        ("3h", 3 * 3_600_000),
        (90, 90_000),
        (dt.timedelta(hours=2), 2 * 3_600_000),
        (LONG_AFTER, None),
        (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), 0),
    ],
    ids=["text", "seconds", "timedelta", "datetime", "past"],
)
def test_delay(world: World, after: object, delay_ms: int | None) -> None:
    ran = []

    def busy() -> int:
        ran.append(1)
        if len(ran) == 1:
            raise RetryAfterError("busy", after)  # type: ignore[arg-type]
        return 5

    @world.app.function("polite", trigger="go", retries=1)
    def polite(step: SyncStep) -> int:
        return step.run("busy", busy)

    world.worker()
    if delay_ms == 0:
        assert world.outcome("polite", "go").output == 5
        return
    run = world.until_status(world.run_of(world.send("go"), "polite"), "waiting")
    due_ms = int(run.fields["due"])
    if delay_ms is None:
        assert abs(due_ms - LONG_AFTER.timestamp() * 1000) < 250
    else:
        assert abs(due_ms - run.told("retry")[0]["e"] - delay_ms) < 1000
    assert run.told("retry")[0]["error"]["name"] == "RetryAfterError"


def test_it_counts_as_an_attempt(world: World) -> None:
    ran = []

    def busy() -> None:
        ran.append(1)
        raise RetryAfterError("busy", "10ms")

    @world.app.function("polite", trigger="go", retries=2)
    def polite(step: SyncStep) -> None:
        step.run("busy", busy)

    world.worker()
    assert world.outcome("polite", "go").error["name"] == "RetryAfterError"
    assert len(ran) == 3


def test_a_delay_that_cannot_be_read_ends_the_step(world: World) -> None:
    def busy() -> None:
        raise RetryAfterError("busy", "soon")

    @world.app.function("polite", trigger="go", retries=9)
    def polite(step: SyncStep) -> None:
        step.run("busy", busy)

    world.worker()
    assert world.outcome("polite", "go").error["message"] == "busy"


def test_in_the_handler(world: World) -> None:
    ran = []

    @world.app.function("polite", trigger="go", retries=1)
    def polite() -> str:
        ran.append(1)
        if len(ran) == 1:
            raise RetryAfterError("busy", "20ms")
        return "done"

    world.worker()
    run = world.outcome("polite", "go")
    assert run.output == "done"
    assert run.fields["attempt"] == "1"
