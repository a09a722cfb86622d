"""Flow control, alike on Redis and in memory."""

from __future__ import annotations

import time
from typing import Any

import pytest
from parity.stages import Stage

from qflow import (
    Batch,
    Concurrency,
    Debounce,
    Event,
    RateLimit,
    Singleton,
    StepError,
    SyncStep,
    Throttle,
)

KEY = "event.data.key"


def numbers(stage: Stage, function: str, count: int) -> list[Any]:
    """Return the outputs of the runs that a function completed, None for others."""
    return [run.output for run in stage.outcomes(function, count)]


def number(event: Event) -> int:
    return int(event.data["n"])


def test_a_rate_limit(stage: Stage) -> None:
    stage.app.function("f", trigger="go", rate_limit=RateLimit(2, per="1h", key=KEY))(number)
    for n, key in enumerate(["a", "b", "a", "a", None, "", "b", "b"]):
        stage.send("go", {"n": n, "key": key})
    runs = stage.outcomes("f", 8)
    assert [run.output for run in runs] == [0, 1, 2, None, 4, 5, 6, None]
    assert (runs[3].status, runs[3].reason, runs[3].told) == (
        "skipped", "rate limit: 2 runs in 1h have started for a", [],
    )  # fmt: skip


def test_a_rate_limit_without_a_key(stage: Stage) -> None:
    stage.app.function("f", trigger="go", rate_limit=RateLimit(1, per="1h"))(number)
    events = [stage.send("go", {"n": n}) for n in range(2)]
    assert stage.ended(events[0], "f").output == 0
    assert stage.ended(events[1], "f").reason == "rate limit: 1 runs in 1h have started"


def test_a_throttle(stage: Stage) -> None:
    throttle = Throttle(2, per="200ms", burst=2, key=KEY)
    stage.app.function("f", trigger="go", throttle=throttle)(number)
    for n in range(5):
        stage.send("go", {"n": n, "key": "other" if n == 4 else "a"}, id=f"{n}")
    told = [stage.ended(f"{n}", "f").told for n in range(5)]
    assert [told[0], told[4]] == [[], []], "the first of each key starts at once"
    assert told[3] == [("", 0, "throttled")]
    assert numbers(stage, "f", 5) == [0, 1, 2, 3, 4]


def test_a_debounce(stage: Stage) -> None:
    stage.app.function("f", trigger="go", debounce=Debounce("500ms", key=KEY))(number)
    now = time.time_ns() // 1_000_000
    for n, (key, older) in enumerate([("a", 0), ("b", 0), ("a", 0), ("a", 5000)]):
        stage.send("go", {"n": n, "key": key}, ts=now - older)
    runs = stage.outcomes("f", 2)
    assert sorted(run.output for run in runs) == [1, 2], "an older one that came late is ignored"
    assert [run.told for run in runs] == [[("", 0, "debounced")]] * 2


def test_a_debounce_in_the_end(stage: Stage) -> None:
    @stage.app.function("f", trigger="go", debounce=Debounce("1h", timeout="1h"))
    def late() -> None: ...

    stage.app.function("g", trigger="go", debounce=Debounce("20ms"))(number)
    event = stage.send("go", {"n": 1})
    assert stage.ended(event, "g").output == 1
    stage.until(event, "f", "queued")
    assert stage.cancel(event, "f")
    again = stage.send("go", {"n": 2})
    assert stage.ended(again, "g").output == 2
    stage.until(again, "f", "queued")


def gathered(events: list[Event], event: Event) -> list[int]:
    return [event.data["n"], *(each.data["n"] for each in events)]


def test_a_batch(stage: Stage) -> None:
    batch = Batch(3, timeout="500ms", key=KEY, when="event.data.n < 10")
    stage.app.function("f", trigger="go", batch=batch)(gathered)
    for n, key in [(0, "a"), (1, "b"), (2, "a"), (10, "a"), (3, "a"), (4, "a")]:
        stage.send("go", {"n": n, "key": key}, id=f"{n}")
    runs = stage.outcomes("f", 4)
    assert [run.output for run in runs] == [[0, 0, 2, 3], [1, 1], [10, 10], [4, 4]]
    assert [run.told for run in runs] == [
        [("", 0, "batched")], [("", 0, "batched")], [], [("", 0, "batched")],
    ]  # fmt: skip


def test_a_batch_again(stage: Stage) -> None:
    stage.app.function("f", trigger="go", batch=Batch(2, timeout="1h"))(gathered)
    first = stage.send("go", {"n": 0})
    stage.send("go", {"n": 1})
    assert stage.ended(first, "f").output == [0, 0, 1]
    assert stage.rerun(first, "f").output == [0, 0, 1]
    assert stage.rerun(first, "f", data={"n": 7}).output == [7, 7]


def test_a_singleton_that_skips(stage: Stage) -> None:
    @stage.app.function("f", trigger="go", singleton=Singleton(key=KEY))
    def work(event: Event, step: SyncStep) -> int:
        step.wait_for_event("on", "on", match="data.key")
        return int(event.data["n"])

    first = stage.send("go", {"n": 0, "key": "a"})
    stage.until(first, "f", "waiting")
    second = stage.send("go", {"n": 1, "key": "a"})
    assert stage.ended(second, "f").reason == "singleton: run RUN has not ended"
    stage.send("on", {"key": "a"})
    assert stage.ended(first, "f").output == 0
    third = stage.send("go", {"n": 2, "key": "a"})
    stage.until(third, "f", "waiting")
    stage.send("on", {"key": "a"})
    assert stage.ended(third, "f").output == 2


def test_a_singleton_that_cancels(stage: Stage) -> None:
    @stage.app.function("f", trigger="go", singleton=Singleton(mode="cancel"))
    def work(event: Event, step: SyncStep) -> int:
        step.wait_for_event("on", "on")
        return int(event.data["n"])

    events = [stage.send("go", {"n": n}, id=f"{n}") for n in range(3)]
    for n, event in enumerate(events[:2]):
        run = stage.ended(event, "f")
        assert (run.status, run.reason) == (
            "cancelled",
            f"singleton: event {n + 1} takes its place",
        )
    stage.send("on")
    assert stage.ended(events[2], "f").output == 2


def test_whole_runs_at_once(stage: Stage) -> None:
    """`per="run"` holds the slot while the run sleeps, and the keys take turns."""
    limits = [Concurrency(2, per="run"), Concurrency(1, key=KEY, per="run")]

    @stage.app.function("f", trigger="go", concurrency=limits)
    def work(event: Event, step: SyncStep) -> None:
        step.wait_for_signal("on", f"on {event.data['n']}")

    sent = [stage.send("go", {"n": n, "key": key}) for n, key in enumerate("aaabbc")]
    stage.handled()

    def until_only(*running: int) -> None:
        def waiting() -> list[int]:
            return [n for n, event in enumerate(sent) if stage.is_(event, "f", "waiting")]

        stage.settled(lambda: waiting() == sorted(running), f"only {running} to be running")

    for n, other in ((0, 3), (3, 5), (5, 1), (1, 4), (4, 2)):
        until_only(n, other)
        stage.signal(f"on {n}")
        assert stage.ended(sent[n], "f").status == "completed"
    until_only(2)


def test_steps_at_once(stage: Stage) -> None:
    """A limit of steps holds nothing while runs sleep, wait or are to be tried again."""

    @stage.app.function("f", trigger="go", concurrency=Concurrency(1, key=KEY))
    def work(event: Event, step: SyncStep) -> int:
        step.run("one", int)
        step.sleep("nap", "10ms")
        step.wait_for_event("on", "on")
        return step.run("two", number, event)

    events = [stage.send("go", {"n": n, "key": "a"}) for n in range(3)]
    for event in events:
        stage.until(event, "f", "waiting")
    stage.send("on")
    assert [stage.ended(event, "f").output for event in events] == [0, 1, 2]


@pytest.mark.parametrize("options", [
    {"rate_limit": RateLimit(1, per="1h")}, {"singleton": Singleton()},
])  # fmt: skip
def test_an_invoked_run_is_limited_too(stage: Stage, options: dict[str, Any]) -> None:
    stage.app.function("child", trigger="never", **options)(
        lambda step: step.wait_for_event("on", "on")
    )

    @stage.app.function("parent", trigger="go")
    def parent(step: SyncStep) -> str:
        try:
            step.invoke("child", "child")
        except StepError as error:
            return f"{error.name}: {error.message}".rpartition(":")[0]
        return "done"

    first = stage.send("go")
    stage.until(first, "parent", "waiting")
    second = stage.ended(stage.send("go"), "parent")
    kind = next(iter(options)).replace("_", " ")
    assert second.output == f"RunSkipped: the invoked run was skipped: {kind}"
    assert second.told == [("child", 0, "wait"), ("child", 0, "failed")]
    stage.send("on")
    assert stage.ended(first, "parent").output == "done"


def test_invokers_of_one_batch(stage: Stage) -> None:
    @stage.app.function("child", trigger="never", batch=Batch(2, timeout="1h"), retries=0)
    def child(events: list[Event]) -> int:
        return sum(event.data["n"] for event in events)

    @stage.app.function("parent", trigger="go")
    def parent(event: Event, step: SyncStep) -> Any:
        return step.invoke("child", child, data=event.data)

    events = [stage.send("go", {"n": n}) for n in (3, 4)]
    assert [stage.ended(event, "parent").output for event in events] == [7, 7]
    assert stage.started() == {"parent": 2, "child": 1}


def test_gates_one_after_the_other(stage: Stage) -> None:
    """What a rate limit lets pass is debounced, and is a singleton when it starts."""
    stage.app.function(
        "f",
        trigger="go",
        rate_limit=RateLimit(3, per="1h"),
        debounce=Debounce("50ms", key=KEY),
        singleton=Singleton(),
    )(lambda event, step: step.wait_for_event("on", "on") and event.data["n"])
    stage.send("go", {"n": 0, "key": "a"}, id="0")
    stage.passed("0", "f", "50ms", "waiting")
    stage.send("go", {"n": 1, "key": "a"}, id="1")
    stage.send("go", {"n": 2, "key": "b"}, id="2")
    late = stage.ended(stage.send("go", {"n": 3, "key": "c"}), "f")
    assert late.reason == "rate limit: 3 runs in 1h have started"
    for event in "12":
        run = stage.ended(event, "f")
        assert run.told == [("", 0, "debounced")]
        assert (run.status, run.reason) == ("skipped", "singleton: run RUN has not ended")
    stage.send("on")
    first = stage.ended("0", "f")
    assert (first.output, first.told[0]) == (0, ("", 0, "debounced"))


def test_priorities(stage: Stage) -> None:
    began: list[int] = []

    @stage.app.function("f", trigger="go", priority="event.data.ahead")
    def work(event: Event, step: SyncStep) -> None:
        step.run("begin", began.append, event.data["n"])

    ahead = [0, 120, -600, 300, "no number", 9999]
    stage.send_all([Event("go", {"n": n, "ahead": each}) for n, each in enumerate(ahead)])
    runs = stage.outcomes("f", 6)
    assert began == [5, 3, 1, 0, 4, 2]
    held = [[each for each in run.told if not each[0]] for run in runs]
    assert held == [[], [], [("", 0, "priority")], [], [], []]
