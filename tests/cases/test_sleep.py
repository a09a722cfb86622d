"""Sleeps hold nothing and end on time."""

from __future__ import annotations

import datetime as dt
import statistics
import time

import pytest
from cases.world import World

from qflow import Step, SyncStep


@pytest.fixture
def napping(world: World) -> World:
    @world.app.function("nap", trigger="nap")
    def nap(event, step: SyncStep) -> str:  # type: ignore[no-untyped-def]
        step.sleep("nap", event.data["s"])
        return "awake"

    @world.app.function("anap", trigger="nap")
    async def anap(event, step: Step) -> str:  # type: ignore[no-untyped-def]
        await step.sleep("nap", event.data["s"])
        return "awake"

    return world


@pytest.mark.serial
def test_it_ends_on_time(napping: World) -> None:
    napping.worker()
    lates = []
    for _ in range(5):
        event = napping.send("nap", {"s": 0.2})
        for function in ("nap", "anap"):
            run = napping.ended(event, function)
            assert run.output == "awake"
            told = run.told("step")
            assert told[0]["id"] == "nap"
            late = told[0]["s"] - int(run.fields["started"]) - 200
            assert late > -100, "by the worker's idea of Redis's clock"
            lates.append(late)
    assert statistics.median(lates) < 250, lates


def test_it_holds_no_slot(napping: World) -> None:
    napping.worker(slots=1)
    events = [napping.send("nap", {"s": 0.4}) for _ in range(10)]
    began = time.monotonic()
    for event in events:
        napping.ended(event, "nap")
        napping.ended(event, "anap")
    assert time.monotonic() - began < 4, "twenty naps of 0.4 s pass side by side"


def test_waiting_run_is_shown_as_such(napping: World) -> None:
    napping.worker()
    run = napping.until_status(napping.run_of(napping.send("nap", {"s": "1h"}), "nap"), "waiting")
    assert int(run.fields["due"]) - int(run.fields["started"]) == pytest.approx(3_600_000, abs=500)
    assert run.told("sleep") == [{"t": "sleep", "id": "nap"}]
    assert napping.redis.call("ZCARD", napping.keys.by_status("waiting")) == 2 or napping.until(
        lambda: napping.redis.call("ZCARD", napping.keys.by_status("waiting")) == 2
    )


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_sleep_until(world: World, kind: str) -> None:
    if kind == "sync":

        @world.app.function("alarm", trigger="go")
        def alarm(event, step: SyncStep) -> str:  # type: ignore[no-untyped-def]
            step.sleep_until("alarm", event.data["when"])
            return "awake"

    else:

        @world.app.function("alarm", trigger="go")
        async def alarm(event, step: Step) -> str:  # type: ignore[no-untyped-def]
            await step.sleep_until("alarm", event.data["when"])
            return "awake"

    world.worker()
    zone = dt.timezone(dt.timedelta(hours=5))
    soon = dt.datetime.now(zone) + dt.timedelta(milliseconds=300)
    run = world.outcome("alarm", "go", {"when": soon})
    assert run.output == "awake"
    assert run.told("step")[0]["s"] >= soon.timestamp() * 1000 - 1
    assert (
        world.outcome("alarm", "go", {"when": dt.datetime(2020, 1, 1, tzinfo=zone)}).output
        == "awake"
    )
    error = world.outcome("alarm", "go", {"when": dt.datetime(2999, 1, 1)}).error
    assert "has no time zone" in error["message"]
    assert "'alarm'" in error["message"]


def test_a_sleep_survives_its_worker(napping: World) -> None:
    first = napping.worker()
    run = napping.until_status(napping.run_of(napping.send("nap", {"s": 0.3}), "nap"), "waiting")
    napping.stop([first])
    napping.worker()
    assert napping.until_status(run.id, "completed").output == "awake"
