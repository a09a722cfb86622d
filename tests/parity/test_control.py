"""What follows a failure, what ends a run from outside, alike on Redis and in memory."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from parity.stages import Failure, Stage

from qflow import (
    Backoff,
    CancelOn,
    Concurrency,
    Event,
    Run,
    Step,
    StepError,
    SyncStep,
    Timeouts,
)

FAST = Backoff(base="20ms", factor=1, max="20ms", jitter=False)


def explode() -> None:
    raise ValueError("boom")


def facts(event: Event) -> dict[str, Any]:
    """What an event of qflow's own says, but for ids and the traceback."""
    data = event.data
    own, error = data["event"], data.get("error", {})
    return {
        "name": event.name,
        "is_of_the_run": event.id == f"{data['run_id']}:{event.name.rpartition('.')[2]}",
        "event": (own["name"], own["data"]),
        "error": (error.get("name"), error.get("message"), "explode" in error.get("traceback", "")),
        **{key: data[key] for key in data.keys() - {"event", "error", "run_id"}},
    }


def test_on_failure(stage: Stage) -> None:
    def clean_up(event: Event, step: SyncStep) -> dict[str, Any]:
        return step.run("note", facts, event)

    @stage.app.function("pay", trigger="go", retries=1, backoff=FAST, on_failure=clean_up)
    def pay(event: Event, step: SyncStep) -> None:
        if event.data["bad"]:
            step.run("charge", explode)

    stage.send("go", {"bad": False})
    event = stage.send("go", {"bad": True})
    assert stage.ended(event, "pay").failure == Failure("ValueError", "boom", "charge")
    [handled] = stage.outcomes("pay-failure", 1)
    assert handled.told == [("note", 0, "ok")]
    assert handled.output == {
        "name": "qflow/function.failed",
        "is_of_the_run": True,
        "event": ("go", {"bad": True}),
        "error": ("ValueError", "boom", True),
        "function_id": "pay",
        "status": "failed",
        "step": "charge",
        "attempt": 1,
    }


def test_a_failure_of_the_handler_and_of_its_handler(stage: Stage) -> None:
    async def clean_up(event: Event, run: Run) -> list[Any]:
        if run.attempt < 2:
            raise RuntimeError("not yet")
        return [event.data["step"], event.data["attempt"], run.attempt]

    stage.app.function("pay", trigger="go", retries=2, backoff=FAST, on_failure=clean_up)(explode)
    assert stage.ended(stage.send("go"), "pay").status == "failed"
    [handled] = stage.outcomes("pay-failure", 1)
    assert handled.output == ["", 2, 2]
    assert handled.told == [("", 0, "retry"), ("", 1, "retry")]


def test_events_of_ends(stage: Stage) -> None:
    """Each end is told of once, and those of the functions that hear of it are not."""

    @stage.app.function("work", trigger="go", retries=0)
    def work(event: Event, step: SyncStep) -> Any:
        if event.data["n"] == 0:
            explode()
        if event.data["n"] == 2:
            step.wait_for_signal("never", "never")
        return event.data["n"]

    @stage.app.function("hear", trigger=[f"qflow/function.{kind}" for kind in (
        "finished", "failed", "cancelled",
    )])  # fmt: skip
    def hear(event: Event) -> dict[str, Any]:
        return facts(event)

    sent = [stage.send("go", {"n": n}) for n in range(3)]
    assert stage.ended(sent[0], "work").status == "failed"
    assert stage.ended(sent[1], "work").output == 1
    stage.until(sent[2], "work", "waiting")
    assert stage.cancel(sent[2], "work")
    assert not stage.cancel(sent[2], "work")
    heard = [run.output for run in stage.outcomes("hear", 5)]
    assert all(each.pop("is_of_the_run") for each in heard)
    assert all(each["function_id"] == "work" for each in heard)
    told = sorted((each["event"][1]["n"], each["name"][15:], each["status"]) for each in heard)
    assert told == [
        (0, "failed", "failed"), (0, "finished", "failed"), (1, "finished", "completed"),
        (2, "cancelled", "cancelled"), (2, "finished", "cancelled"),
    ]  # fmt: skip
    by_name = {(each["event"][1]["n"], each["name"]): each for each in heard}
    assert by_name[1, "qflow/function.finished"]["output"] == 1
    assert by_name[2, "qflow/function.cancelled"]["reason"] == "by app tests"
    assert stage.started() == {"work": 3, "hear": 5}


@pytest.mark.parametrize("kind", ["sleep", "event", "group", "retry"])
def test_cancelling_what_waits(stage: Stage, kind: str) -> None:
    went_on: list[str] = []

    @stage.app.function("wait", trigger="go", backoff=Backoff("1h", jitter=False))
    async def wait(step: Step) -> None:
        if kind == "sleep":
            await step.sleep("long", "1h")
        elif kind == "event":
            await step.wait_for_event("long", "never")
        elif kind == "retry":
            await step.run("long", explode)
        else:
            await asyncio.gather(step.sleep("long", "1h"), step.wait_for_signal("bell", "bell"))
        went_on.append(kind)

    event = stage.send("go")
    stage.until(event, "wait", "waiting")
    assert stage.cancel(event, "wait")
    run = stage.ended(event, "wait")
    assert (run.status, run.reason) == ("cancelled", "by app tests")
    assert not stage.app.signal("bell"), "its waiters are gone"
    assert not stage.cancel(event, "wait")
    assert not stage.app.cancel("01ARZ3NDEKTSV4RRFFQ69G5FAV"), "no such run"
    assert went_on == []


def test_a_step_hears_that_its_run_is_cancelled(stage: Stage) -> None:
    went_on: list[str] = []

    @stage.app.function("slow", trigger="go")
    def slow(step: SyncStep, run: Run) -> None:
        def look() -> str:
            assert stage.app.cancel(run.id)
            waited = threading.Event()
            while not run.cancelled:
                waited.wait(0.01)
            went_on.append("heard")
            return "dropped"

        step.run("before", int)
        step.run("look", look)
        went_on.append("after")
        step.run("after", int)

    run = stage.ended(stage.send("go"), "slow")
    assert (run.status, run.reason) == ("cancelled", "by app tests")
    stage.settled(lambda: went_on == ["heard", "after"], "the handler's end")
    assert run.told == [("before", 0, "ok")]


def test_an_async_step_is_interrupted(stage: Stage) -> None:
    seen: list[str] = []

    async def endless(run: Run) -> None:
        try:
            await asyncio.to_thread(stage.app.cancel, run.id)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(f"interrupted: {run.cancelled}")
            raise

    @stage.app.function("slow", trigger="go")
    async def slow(step: Step, run: Run) -> None:
        try:
            await step.run("endless", endless, run)
        finally:
            seen.append("the handler, too")

    run = stage.ended(stage.send("go"), "slow")
    assert (run.status, run.told) == ("cancelled", [])
    stage.settled(lambda: len(seen) == 2, "the interruption")
    assert seen == ["interrupted: True", "the handler, too"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_step_beside_others_is_interrupted(stage: Stage, is_async: bool) -> None:
    seen: list[str] = []

    async def endless(run: str) -> None:
        try:
            await asyncio.to_thread(stage.app.cancel, run)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("interrupted")
            raise

    def slow(step: SyncStep, run: Run) -> None:
        step.parallel(lambda: step.run("a", endless, run.id), lambda: step.sleep("b", "1h"))
        seen.append("went on")

    async def aslow(step: Step, run: Run) -> None:
        await asyncio.gather(step.run("a", endless, run.id), step.sleep("b", "1h"))
        seen.append("went on")

    stage.app.function("slow", trigger="go")(aslow if is_async else slow)
    run = stage.ended(stage.send("go"), "slow")
    assert (run.status, run.told) == ("cancelled", [("b", 0, "sleep")])
    stage.settled(lambda: seen == ["interrupted"], "the interruption")


def test_a_cancelled_child(stage: Stage) -> None:
    @stage.app.function("child", trigger="never")
    def child(step: SyncStep) -> None:
        step.wait_for_signal("never", "never")

    @stage.app.function("parent", trigger="go")
    def parent(step: SyncStep) -> list[str]:
        try:
            step.invoke("child", child)
        except StepError as error:
            return [error.name, error.message]
        return []

    event = stage.send("go")
    stage.cancel_only("child")
    run = stage.ended(event, "parent")
    assert run.output == ["RunCancelled", "the invoked run was cancelled"]
    assert run.told == [("child", 0, "wait"), ("child", 0, "failed")]


def test_cancel_on(stage: Stage) -> None:
    rules = [
        CancelOn("order/paid", match="data.id"),
        CancelOn("order/big", when="async.data.total > event.data.total"),
        CancelOn("shop/*", timeout="1ms"),
        CancelOn("all/*"),
    ]

    @stage.app.function("remind", trigger="order/placed", cancel_on=rules)
    def remind(step: SyncStep) -> None:
        step.wait_for_event("never", "never")

    sent = [stage.send("order/placed", {"id": n, "total": n * 10}) for n in range(4)]
    for event in sent:
        stage.until(event, "remind", "waiting")
    for name, data in (
        ("order/paid", {"id": 0}), ("order/paid", {"id": 9}), ("order/paid", {}),
        ("order/big", {"total": 11}), ("order/big", {"total": None}),
    ):  # fmt: skip
        stage.send(name, data, id=f"{name} {data}")
    first = [stage.ended(event, "remind") for event in sent[:2]]
    assert [(run.status, run.reason) for run in first] == [
        ("cancelled", "event order/paid order/paid {'id': 0}"),
        ("cancelled", "event order/big order/big {'total': 11}"),
    ]
    stage.handled()
    for event in sent[2:]:
        stage.until(event, "remind", "waiting")
    stage.send("all/cancelled", id="all")
    last = [stage.ended(event, "remind") for event in sent[2:]]
    assert [run.reason for run in last] == ["event all/cancelled all"] * 2
    later = stage.send("order/placed", {"id": 7, "total": 0})
    stage.until(later, "remind", "waiting")  # only events after a run's own end it


def test_a_rule_holds_for_its_time(stage: Stage) -> None:
    @stage.app.function("nap", trigger="go", cancel_on=CancelOn("stop", timeout="1h"))
    def nap(step: SyncStep) -> None:
        step.wait_for_signal("never", "never")

    @stage.app.function("brief", trigger="go", cancel_on=CancelOn("stop", timeout="1ms"))
    def brief(step: SyncStep) -> str:
        step.sleep("pass the time", "50ms")
        return str(step.wait_for_signal("bell", "bell"))

    event = stage.send("go")
    stage.until(event, "nap", "waiting")
    stage.slept(event, "brief", "50ms")
    stage.send("stop", id="x")
    assert stage.ended(event, "nap").reason == "event stop x"
    stage.signal("bell", "rung")
    assert stage.ended(event, "brief").output == "rung"


def test_the_deadline_of_the_end(stage: Stage) -> None:
    @stage.app.function("late", trigger="go", timeouts=Timeouts(finish="50ms"))
    def late(step: SyncStep) -> None:
        step.sleep("long", "1h")

    @stage.app.function("quick", trigger="go", timeouts=Timeouts(start="1h", finish="1h"))
    def quick(step: SyncStep) -> int:
        return step.run("n", lambda: 7)

    event = stage.send("go")
    run = stage.ended(event, "late")
    assert (run.status, run.reason) == ("cancelled", "it did not finish within 0.05 s")
    assert run.told == [("long", 0, "sleep")]
    assert stage.ended(event, "quick").output == 7


def test_the_deadline_of_the_start(stage: Stage) -> None:
    @stage.app.function(
        "one", trigger="go", concurrency=Concurrency(1, per="run"), timeouts=Timeouts(start="50ms")
    )
    def one(step: SyncStep) -> str:
        return str(step.wait_for_signal("bell", "bell"))

    first = stage.send("go")
    stage.until(first, "one", "waiting")
    run = stage.ended(stage.send("go"), "one")
    assert (run.status, run.reason, run.told) == (
        "cancelled", "it did not start within 0.05 s", [],
    )  # fmt: skip
    stage.signal("bell", "rung")
    assert stage.ended(first, "one").output == "rung"


def test_a_deadline_of_an_invoked_run(stage: Stage) -> None:
    @stage.app.function("child", trigger="never", timeouts=Timeouts(finish="50ms"))
    def child(step: SyncStep) -> None:
        step.sleep("long", "1h")

    @stage.app.function("parent", trigger="go", retries=0)
    def parent(step: SyncStep) -> None:
        step.invoke("child", child)

    run = stage.ended(stage.send("go"), "parent")
    assert run.failure == Failure("RunCancelled", "the invoked run was cancelled", "child")


def test_idempotency(stage: Stage) -> None:
    @stage.app.function("once", trigger="go", idempotency="event.data.order")
    def once(event: Event) -> int:
        return event.data["n"]

    orders = [7, 7, 7.0, "7", None, None, 8]
    for n, order in enumerate(orders):
        stage.send("go", {"order": order, "n": n})
    assert [run.output for run in stage.outcomes("once", 5)] == [0, 3, 4, 5, 6]
