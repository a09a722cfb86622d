"""Waits, signals, invoked runs, sent events and steps side by side, alike on Redis and in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from parity.stages import Failure, Stage

from qflow import Backoff, Event, NonRetriableError, Step, StepError, SyncStep

FAST = Backoff(base="20ms", factor=1, max="20ms", jitter=False)


class Flaky:
    """Fails `failures` times, then returns how often it ran."""

    def __init__(self, failures: int, error: type[Exception] = ValueError) -> None:
        self.failures = failures
        self.error = error
        self.ran = 0

    def __call__(self) -> int:
        self.ran += 1
        if self.ran <= self.failures:
            raise self.error(f"attempt {self.ran}")
        return self.ran


def test_an_event_that_matches(stage: Stage) -> None:
    @stage.app.function("order", trigger="order/created")
    def order(event: Event, step: SyncStep) -> list[Any]:
        paid = step.wait_for_event("paid", "order/paid", match="data.id", timeout="1m")
        return [type(paid).__name__, paid.data["by"]]

    sent = stage.send("order/created", {"id": 7})
    for data in ({"id": 8, "by": "no"}, {"id": "7", "by": "text"}, {"id": 7.0, "by": "card"}):
        stage.send("order/paid", data)
    run = stage.ended(sent, "order")
    assert run.output == ["Event", "card"]
    assert run.told == [("paid", 0, "wait"), ("paid", 0, "ok")]


def test_events_in_a_row(stage: Stage) -> None:
    @stage.app.function("order", trigger="order/created")
    async def order(event: Event, step: Step) -> list[int]:
        got = []
        for _ in range(3):
            said = await step.wait_for_event("said", ["order/said", "order/told"], match="data.id")
            got.append(said.data["n"])
        return got

    sent = stage.send("order/created", {"id": 1})
    for n in range(3):
        stage.send("order/told" if n == 1 else "order/said", {"id": 1, "n": n})
    assert stage.ended(sent, "order").output == [0, 1, 2]


def test_a_wait_times_out(stage: Stage) -> None:
    @stage.app.function("order", trigger="go")
    def order(step: SyncStep) -> list[Any]:
        return [step.wait_for_event("paid", "never", timeout=0.05), step.run("after", lambda: 1)]

    run = stage.ended(stage.send("go"), "order")
    assert run.output == [None, 1]
    assert run.told == [("paid", 0, "wait"), ("paid", 0, "ok"), ("after", 0, "ok")]


@pytest.mark.parametrize(("since", "expected"), [("run", 1), ("now", None)])
def test_looking_back(stage: Stage, since: Any, expected: int | None) -> None:
    @stage.app.function("order", trigger="order/created")
    def order(event: Event, step: SyncStep) -> Any:
        step.sleep("a while", 0.2)
        paid = step.wait_for_event("paid", "order/paid", match="data.id", timeout=0.1, since=since)
        return paid and paid.data["n"]

    stage.send("order/paid", {"id": 5, "n": "too early"})
    sent = stage.send("order/created", {"id": 5})
    stage.send("order/paid", {"id": 5, "n": 1})
    assert stage.ended(sent, "order").output == expected


def test_a_run_s_own_trigger_never_counts(stage: Stage) -> None:
    @stage.app.function("order", trigger="order/created")
    def order(step: SyncStep) -> Any:
        again = step.wait_for_event("again", "order/created", match="data.id", timeout=0.1)
        return again and again.data

    assert stage.ended(stage.send("order/created", {"id": 1}), "order").output is None


def test_a_condition(stage: Stage) -> None:
    @stage.app.function("order", trigger="order/created")
    async def order(step: Step) -> int:
        paid = await step.wait_for_event(
            "paid", "order/paid", when="async.data.sum >= event.data.sum", timeout="1m"
        )
        return paid.data["sum"]

    sent = stage.send("order/created", {"sum": 10})
    stage.send("order/paid", {"sum": 9})
    stage.send("order/paid", {"sum": 11})
    assert stage.ended(sent, "order").output == 11


def test_a_signal(stage: Stage) -> None:
    @stage.app.function("door", trigger="go")
    def door(step: SyncStep) -> list[Any]:
        return [
            step.wait_for_signal("bell", "bell", timeout="1m"),
            step.wait_for_signal("knock", "knock", timeout=0.05),
        ]

    sent = stage.send("go")
    stage.signal("bell", {"who": "Jane"})
    assert stage.ended(sent, "door").output == [{"who": "Jane"}, None]


def test_a_signal_has_one_waiter(stage: Stage) -> None:
    @stage.app.function("door", trigger="go")
    async def door(step: Step) -> list[Any]:
        return await asyncio.gather(
            step.wait_for_signal("a", "bell", timeout=0.1),
            step.wait_for_signal("b", "bell", timeout=0.1),
            return_exceptions=True,
        )

    run = stage.ended(stage.send("go"), "door")
    assert run.failure is not None, "errors are no values"
    assert run.failure.name == "CodecError"


def test_invoke(stage: Stage) -> None:
    @stage.app.function("double", trigger="never")
    def double(event: Event, step: SyncStep) -> int:
        step.sleep("nap", 0.01)
        return step.run("double", lambda n: 2 * n, event.data["n"])

    @stage.app.function("broken", trigger="never", retries=0)
    async def broken() -> None:
        raise LookupError("lost")

    @stage.app.function("parent", trigger="go")
    def parent(step: SyncStep) -> list[Any]:
        told: list[Any] = [step.invoke("double", double, data={"n": 21})]
        for name in ("broken", "nobody"):
            try:
                step.invoke(name, name)
            except StepError as error:
                told.append([error.step_id, error.name])
        return told

    run = stage.ended(stage.send("go"), "parent")
    assert run.output == [42, ["broken", "LookupError"], ["nobody", "UnknownFunction"]]
    assert run.told == [
        ("double", 0, "wait"), ("double", 0, "ok"),
        ("broken", 0, "wait"), ("broken", 0, "failed"),
        ("nobody", 0, "wait"), ("nobody", 0, "failed"),
    ]  # fmt: skip


def test_invoke_times_out(stage: Stage) -> None:
    @stage.app.function("slow", trigger="never")
    def slow(step: SyncStep) -> None:
        step.sleep("long", "1s")

    @stage.app.function("parent", trigger="go")
    async def parent(step: Step) -> None:
        await step.invoke("slow", slow, timeout=0.05)

    run = stage.ended(stage.send("go"), "parent")
    assert run.failure is not None
    assert (run.failure.name, run.failure.step) == ("StepTimeout", "slow")


def test_sent_events_start_functions(stage: Stage) -> None:
    @stage.app.function("send", trigger="go")
    def send(step: SyncStep) -> int:
        one = step.send_event("one", Event("part", data={"n": 1}))
        many = step.send_event("many", [Event("part", data={"n": n}) for n in (2, 3)])
        step.sleep("re-enter", 0.01)
        step.send_event("named", Event("part", id="the-id", data={"n": 4}))
        return len({one, *many})

    @stage.app.function("part", trigger="part")
    async def part(event: Event) -> int:
        return event.data["n"]

    assert stage.ended(stage.send("go"), "send").output == 3
    assert stage.ended("the-id", "part").output == 4
    assert stage.started() == {"send": 1, "part": 4}


def test_steps_side_by_side(stage: Stage) -> None:
    flaky, bad = Flaky(1), Flaky(9, NonRetriableError)

    @stage.app.function("child", trigger="never")
    def child() -> str:
        return "child"

    @stage.app.function("many", trigger="go", backoff=FAST)
    async def many(step: Step) -> list[Any]:
        async def chain() -> int:
            first = await step.run("first", lambda: 1)
            await step.sleep("nap", 0.02)
            return await step.run("second", lambda n: n + 1, first)

        event, *rest = await asyncio.gather(
            step.wait_for_event("event", "said", timeout="1m"),
            step.invoke("child", child),
            step.run("flaky", flaky),
            step.send_event("send", [Event("said", data={"n": 5})]),
            chain(),
            step.sleep("long", 0.05),
            step.run("bad", bad),
            return_exceptions=True,
        )
        error = rest.pop()
        return [event.data["n"], *rest[:2], *rest[3:], error.name]

    run = stage.ended(stage.send("go"), "many")
    assert run.output == [5, "child", 2, 2, None, "NonRetriableError"]
    assert ("flaky", 0, "retry") in run.told and ("flaky", 1, "ok") in run.told
    assert ("bad", 0, "failed") in run.told and bad.ran == 1


def test_branches_of_a_sync_handler(stage: Stage) -> None:
    @stage.app.function("many", trigger="go")
    def many(step: SyncStep) -> list[Any]:
        def chain(n: int) -> int:
            step.run("meet", int)
            step.sleep("nap", 0.01)
            return step.run("double", lambda m: 2 * m, n)

        def nested() -> list[int]:
            return step.parallel(lambda: step.run("x", lambda: 7), lambda: 8)

        before = step.run("before", lambda: 1)
        results = step.parallel(lambda: chain(1), lambda: chain(2), nested, lambda: "plain")
        return [before, *results, step.run("after", lambda: "end")]

    run = stage.ended(stage.send("go"), "many")
    assert run.output == [1, 2, 4, [7, 8], "plain", "end"]
    ended = {step for step, _, outcome in run.told if outcome == "ok"}
    assert ended == {
        "before", "meet", "meet:1", "nap", "nap:1", "double", "double:1", "x", "after",
    }  # fmt: skip


def test_maps(stage: Stage) -> None:
    @stage.app.function("sync", trigger="go")
    def sync(step: SyncStep) -> list[int]:
        return step.map("square", lambda n: n * n, range(5), limit=2)

    @stage.app.function("async", trigger="go", retries=0)
    async def asynchronous(step: Step) -> Any:
        squares = await step.map("square", lambda n: n * n, range(3))
        try:
            await step.map("item", lambda n: 1 // n, [1, 0, 2])
        except StepError as error:
            return [squares, error.step_id]

    sent = stage.send("go")
    assert stage.ended(sent, "sync").output == [0, 1, 4, 9, 16]
    assert stage.ended(sent, "async").output == [[0, 1, 4], "item:1"]


def test_a_failing_group_fails_the_run(stage: Stage) -> None:
    bad = Flaky(9, NonRetriableError)

    @stage.app.function("uncaught", trigger="go")
    async def uncaught(step: Step) -> None:
        await asyncio.gather(step.run("bad", bad), step.sleep("long", "1h"))

    run = stage.ended(stage.send("go"), "uncaught")
    assert run.failure == Failure("NonRetriableError", "attempt 1", "bad")


def test_a_race(stage: Stage) -> None:
    @stage.app.function("race", trigger="go")
    async def race(step: Step) -> str:
        slow = asyncio.create_task(step.sleep("slow", "1h"))
        quick = asyncio.create_task(step.wait_for_signal("quick", "nobody", timeout=0.05))
        done, left = await asyncio.wait({slow, quick}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        winner = "quick" if quick in done else "slow"
        result = await step.run(f"won by {winner}", lambda: winner)
        await step.sleep("nap", 0.02)
        return result

    assert stage.ended(stage.send("go"), "race").output == "quick"


def test_work_between_steps_of_a_branch(stage: Stage) -> None:
    """The handler has let go of its run when it asks for more, or ends."""

    @stage.app.function("many", trigger="go")
    async def many(step: Step) -> list[Any]:
        async def chain() -> int:
            first = await step.run("first", lambda: 1)
            await asyncio.sleep(0.05)
            return first + await step.run("second", lambda: 1)

        other = asyncio.create_task(step.wait_for_signal("wait", "door", timeout="1m"))
        value = await chain()
        done, _ = await asyncio.wait({other}, timeout=0.05)
        return [value, len(done)]

    assert stage.ended(stage.send("go"), "many").output == [2, 0]


def test_what_a_handler_does_not_wait_for(stage: Stage) -> None:
    @stage.app.function("hasty", trigger="go")
    async def hasty(step: Step) -> int:
        left = asyncio.create_task(step.sleep("long", "1h"))
        await step.run("first", int)
        left.cancel()
        return await step.run("last", lambda: 7)

    assert stage.ended(stage.send("go"), "hasty").output == 7
