"""Pauses, runs again, sleeps that are skipped and paths of changed code, alike on Redis and in memory."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from parity.stages import Failure, Stage

from qflow import Backoff, Event, Run, Step, StepError, SyncStep

HOUR = Backoff("1h", factor=1, jitter=False)


@dataclass
class Order:
    """An argument that is no plain value."""

    number: int


def test_a_pause_that_skips(stage: Stage) -> None:
    stage.app.function("f", trigger="go")(lambda event: event.data["n"])
    assert stage.ended(stage.send("go", {"n": 0}), "f").output == 0
    stage.pause("f", "skip")
    skipped = stage.send("go", {"n": 1})
    run = stage.ended(skipped, "f")
    assert (run.status, run.reason, run.told) == ("skipped", "its function is paused", [])
    stage.resume("f")
    assert stage.ended(stage.send("go", {"n": 2}), "f").output == 2
    assert stage.rerun(skipped, "f").output == 1


def test_a_pause_that_holds(stage: Stage) -> None:
    ran: list[str] = []

    @stage.app.function("f", trigger="go")
    async def f(event: Event, step: Step) -> int:
        await step.run("first", ran.append, "first")
        await asyncio.gather(
            step.wait_for_event("a", "on"), step.run("b", ran.append, "b"), step.sleep("c", "20ms")
        )
        await step.run("last", ran.append, "last")
        return int(event.data["n"])

    under_way = stage.send("go", {"n": 0})
    stage.slept(under_way, "f", "20ms")
    stage.settled(lambda: ran == ["first", "b"], "the steps before")
    stage.until(under_way, "f", "waiting")
    stage.pause("f", "hold")
    new = stage.send("go", {"n": 1})
    stage.send("on")
    stage.handled()
    for event in (under_way, new):
        stage.until(event, "f", "queued")
    assert ran == ["first", "b"]
    stage.resume("f")
    assert stage.ended(under_way, "f").output == 0
    assert stage.ended(new, "f").output == 1, "its wait looks back to where it was created"
    assert sorted(ran) == ["b", "b", "first", "first", "last", "last"]


def test_a_paused_function_that_is_invoked(stage: Stage) -> None:
    stage.app.function("child", trigger="never")(lambda: 7)

    @stage.app.function("parent", trigger="go")
    def parent(step: SyncStep) -> Any:
        try:
            return step.invoke("child", "child")
        except StepError as error:
            return [error.name, error.message]

    stage.pause("child", "skip")
    assert stage.ended(stage.send("go"), "parent").output == [
        "RunSkipped", "the invoked run was skipped: its function is paused",
    ]  # fmt: skip
    stage.pause("child", "hold")
    event = stage.send("go")
    stage.until(event, "parent", "waiting")
    stage.resume("child")
    assert stage.ended(event, "parent").output == 7


def chain(stage: Stage) -> list[str]:
    """Define a function of three steps, of which the second fails; the list says what was executed."""
    ran: list[str] = []

    def note(name: str, value: int) -> int:
        ran.append(f"{name} {value}")
        if name == "b" and value < 10:
            raise ValueError("too small")
        return value + 1

    def ship(order: Order, to: str) -> str:
        ran.append("c")
        return f"{order.number} {to}"

    @stage.app.function("f", trigger="go", retries=0)
    def f(event: Event, step: SyncStep) -> Any:
        a = step.run("a", note, "a", event.data.get("n", 1))
        step.sleep("nap", "10ms")
        b = step.run("b", note, "b", a)
        return step.run("c", ship, Order(b), to="x")

    return ran


def test_a_run_again(stage: Stage) -> None:
    ran = chain(stage)
    event = stage.send("go")
    assert stage.ended(event, "f").failure == Failure("ValueError", "too small", "b")
    assert stage.rerun(event, "f").failure == Failure("ValueError", "too small", "b")
    again = stage.rerun(event, "f", data={"n": 20})
    assert (again.output, again.told) == ("22 x", [
        ("a", 0, "ok"), ("nap", 0, "sleep"), ("nap", 0, "ok"), ("b", 0, "ok"), ("c", 0, "ok"),
    ])  # fmt: skip
    assert ran == ["a 1", "b 2", "a 1", "b 2", "a 20", "b 21", "c"]


def test_a_run_again_from_a_step_on(stage: Stage) -> None:
    ran = chain(stage)
    event = stage.send("go")
    assert stage.ended(event, "f").status == "failed"
    assert stage.rerun(event, "f", "b").failure == Failure("ValueError", "too small", "b")
    again = stage.rerun(event, "f", "b", {"value": 20})
    assert (again.output, again.told) == ("21 x", [
        ("a", 0, "ok"), ("nap", 0, "ok"), ("b", 0, "ok"), ("c", 0, "ok"),
    ])  # fmt: skip
    assert stage.rerun(event, "f", "b", ["b", 30]).output == "31 x"
    wrong = stage.rerun(event, "f", "b", {"price": 1})
    assert wrong.failure is not None
    assert wrong.failure[:2] == (
        "UsageError",
        "the new input of step 'b' names 'price', which is no argument of its function; they are name, value",
    )
    assert ran == ["a 1", "b 2", "b 2", "b 20", "c", "b 30", "c"]


def test_a_group_again_from_a_step_on(stage: Stage) -> None:
    ran: list[str] = []

    @stage.app.function("f", trigger="go")
    async def f(step: Step) -> str:
        async with asyncio.TaskGroup() as group:
            bell = group.create_task(step.wait_for_event("bell", "bell"))
            group.create_task(step.sleep("nap", "10ms"))
        await step.run("last", ran.append, "last")
        return bell.result().data["tone"]

    event = stage.send("go")
    stage.slept(event, "f", "10ms")
    stage.send("bell", {"tone": "high"})
    assert stage.ended(event, "f").output == "high"
    again = stage.rerun(event, "f", "last")
    assert (again.output, ran) == ("high", ["last", "last"])
    assert again.told == [("nap", 0, "ok"), ("bell", 0, "ok"), ("last", 0, "ok")]


def test_a_sleep_is_skipped_and_a_retry_made_now(stage: Stage) -> None:
    tries = itertools.count()

    def fails_once() -> str:
        if next(tries) == 0:
            raise ValueError("once")
        return "done"

    @stage.app.function("f", trigger="go", backoff=HOUR)
    def f(step: SyncStep) -> str:
        step.sleep("long", "1d")
        return step.run("again", fails_once)

    event = stage.send("go")
    stage.until(event, "f", "waiting")
    stage.hasten(event, "f", "sleep")
    stage.until_retry(event, "f")
    stage.until(event, "f", "waiting")
    stage.hasten(event, "f", "retry")
    run = stage.ended(event, "f")
    assert run.output == "done"
    assert run.told == [
        ("long", 0, "sleep"), ("long", 0, "ok"), ("again", 0, "retry"), ("again", 1, "ok"),
    ]  # fmt: skip


def test_waits_beside_others_are_over_at_once(stage: Stage) -> None:
    tries: list[int] = []

    def fails_once() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")
        return "done"

    @stage.app.function("f", trigger="go", backoff=HOUR)
    async def f(step: Step) -> Any:
        return await asyncio.gather(step.sleep("long", "1d"), step.run("again", fails_once))

    event = stage.send("go")
    stage.settled(lambda: len(tries) == 1 and stage.is_(event, "f", "waiting"), "the first try")
    stage.hasten(event, "f", "sleep")
    stage.until_retry(event, "f")
    stage.hasten(event, "f", "retry")
    assert stage.ended(event, "f").output == [None, "done"]


def test_a_new_run_takes_the_new_path(stage: Stage) -> None:
    @stage.app.function("f", trigger="go")
    def f(step: SyncStep, run: Run) -> list[Any]:
        before = run.patched("first")
        step.run("a", int)
        step.sleep("re-enter", "10ms")
        return [before, run.patched("first"), run.patched("second")]

    assert stage.ended(stage.send("go"), "f").output == [True, True, True]
