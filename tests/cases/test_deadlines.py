"""Timeouts(start=, finish=): a run that misses its deadline is cancelled then, not later."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from cases.world import World

from qflow import Step, SyncStep, Timeouts
from qflow.errors import DefinitionError


def late_ms(fields: dict[str, str], since: str, span_ms: int) -> int:
    return int(fields["ended"]) - int(fields[since]) - span_ms


def test_a_run_that_nobody_starts(world: World) -> None:
    world.app.function("f", trigger="go", timeouts=Timeouts(start="200ms"))(lambda: None)
    world.publish()
    found = world.ended(world.send("go"), "f")
    assert (found.status, found.fields["reason"]) == ("cancelled", "it did not start within 0.2 s")
    assert 0 <= late_ms(found.fields, "created", 200) < 700


def test_a_sleep_that_lasts_too_long(world: World) -> None:
    @world.app.function("f", trigger="go", timeouts=Timeouts(start="10s", finish="300ms"))
    def f(step: SyncStep) -> None:
        step.sleep("long", "1d")

    world.worker()
    found = world.ended(world.send("go"), "f")
    assert (found.status, found.fields["reason"]) == ("cancelled", "it did not finish within 0.3 s")
    assert 0 <= late_ms(found.fields, "started", 300) < 700
    assert world.redis.call("ZCARD", world.keys.deadlines) == 0


def test_a_step_that_lasts_too_long_is_interrupted(world: World) -> None:
    ended = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    @world.app.function("f", trigger="go", timeouts=Timeouts(finish="100ms"))
    async def f(step: Step) -> None:
        await step.run("hang", hang)

    world.worker()
    assert world.ended(world.send("go"), "f").status == "cancelled"
    assert ended.wait(3)


def test_a_run_that_is_in_time_hears_nothing(world: World) -> None:
    @world.app.function("f", trigger="go", timeouts=Timeouts(start="2s", finish="2s"))
    def f(step: SyncStep) -> str:
        step.sleep("short", "50ms")
        return "done"

    world.worker()
    assert world.outcome("f", "go").output == "done"
    assert world.redis.call("ZCARD", world.keys.deadlines) == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Timeouts(start="soon"), r"Timeouts\(start=\).*is not a duration"),
        (lambda: Timeouts(finish=0), r"Timeouts\(finish=\) must be longer"),
    ],
)
def test_nonsense(make: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        make()


def test_bad_arguments(world: World) -> None:
    with pytest.raises(DefinitionError, match="timeouts must be Timeouts"):
        world.app.function("f", trigger="go", timeouts="1h")  # type: ignore[arg-type]
