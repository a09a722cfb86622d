"""Retries, backoff and errors, alike on Redis and in memory."""

from __future__ import annotations

import asyncio
import datetime as dt
import time

import pytest
from parity.stages import Failure, Stage, about

from qflow import Backoff, NonRetriableError, RetryAfterError, Step, StepError, SyncStep

FAST = Backoff(base="20ms", factor=1, max="20ms", jitter=False)
GROWING = Backoff(base="30ms", factor=3, max="80ms", jitter=False)


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


def test_retries_of_a_step(stage: Stage) -> None:
    flaky, before = Flaky(2), Flaky(0)

    @stage.app.function("retried", trigger="go", retries=2, backoff=FAST)
    def retried(step: SyncStep, run) -> list[int]:
        step.run("before", before)
        return [step.run("flaky", flaky), run.attempt]

    run = stage.ended(stage.send("go"), "retried")
    assert run.output == [3, 0], "attempts of steps are not the handler's"
    assert run.told == [
        ("before", 0, "ok"), ("flaky", 0, "retry"), ("flaky", 1, "retry"), ("flaky", 2, "ok"),
    ]  # fmt: skip
    assert run.delays == about(20, 20)
    assert before.ran == 1


def test_retries_of_an_async_step(stage: Stage) -> None:
    flaky = Flaky(1)

    @stage.app.function("retried", trigger="go", backoff=FAST)
    async def retried(step: Step) -> int:
        return await step.run("flaky", flaky)

    run = stage.ended(stage.send("go"), "retried")
    assert (run.output, run.told) == (2, [("flaky", 0, "retry"), ("flaky", 1, "ok")])


def test_backoff_grows(stage: Stage) -> None:
    flaky = Flaky(3)

    @stage.app.function("retried", trigger="go", retries=3, backoff=GROWING)
    def retried(step: SyncStep) -> int:
        return step.run("flaky", flaky)

    assert stage.ended(stage.send("go"), "retried").delays == about(30, 80, 80)


def test_a_step_s_own_policy(stage: Stage) -> None:
    flaky = Flaky(9)

    @stage.app.function("retried", trigger="go", retries=20)
    def retried(step: SyncStep) -> int:
        return step.options(retries=1, backoff=FAST).run("flaky", flaky)

    run = stage.ended(stage.send("go"), "retried")
    assert run.failure == Failure("ValueError", "attempt 2", "flaky")
    assert run.told == [("flaky", 0, "retry"), ("flaky", 1, "failed")]


@pytest.mark.parametrize("after", ["40ms", 0.04, dt.timedelta(milliseconds=40)], ids=repr)
def test_retry_after(stage: Stage, after: object) -> None:
    ran = []

    def limited() -> str:
        ran.append(1)
        if len(ran) == 1:
            raise RetryAfterError("slow down", after)
        return "done"

    @stage.app.function("polite", trigger="go")
    def polite(step: SyncStep) -> str:
        return step.run("limited", limited)

    run = stage.ended(stage.send("go"), "polite")
    assert (run.output, run.delays) == ("done", about(40))
    assert run.told == [("limited", 0, "retry"), ("limited", 1, "ok")]


def test_retry_after_counts_as_an_attempt(stage: Stage) -> None:
    def limited() -> None:
        raise RetryAfterError("slow down", 0.01)

    @stage.app.function("polite", trigger="go", retries=1)
    def polite(step: SyncStep) -> None:
        step.run("limited", limited)

    run = stage.ended(stage.send("go"), "polite")
    assert run.failure == Failure("RetryAfterError", "slow down", "limited")
    assert run.told == [("limited", 0, "retry"), ("limited", 1, "failed")]


def test_non_retriable(stage: Stage) -> None:
    flaky = Flaky(9, NonRetriableError)

    @stage.app.function("careful", trigger="go", retries=9)
    def careful(step: SyncStep) -> list[str]:
        try:
            step.run("flaky", flaky)
        except StepError as error:
            caught = [error.name, error.message, error.step_id]
        step.sleep("re-enter", 0.01)
        return caught

    run = stage.ended(stage.send("go"), "careful")
    assert run.output == ["NonRetriableError", "attempt 1", "flaky"]
    assert run.told == [
        ("flaky", 0, "failed"), ("re-enter", 0, "sleep"), ("re-enter", 0, "ok"),
    ]  # fmt: skip
    assert flaky.ran == 1, "its failure is remembered too"


def test_fallback(stage: Stage) -> None:
    def unreachable() -> str:
        raise ConnectionError("primary is down")

    @stage.app.function("careful", trigger="go", retries=1, backoff=FAST)
    async def careful(step: Step) -> str:
        try:
            return await step.run("primary", unreachable)
        except StepError as error:
            return await step.run("fallback", lambda name: f"instead of {name}", error.name)

    run = stage.ended(stage.send("go"), "careful")
    assert run.output == "instead of ConnectionError"
    assert run.told == [
        ("primary", 0, "retry"), ("primary", 1, "failed"), ("fallback", 0, "ok"),
    ]  # fmt: skip


def test_an_uncaught_step_error_fails_the_run_at_once(stage: Stage) -> None:
    flaky = Flaky(9)

    @stage.app.function("careless", trigger="go", retries=1, backoff=FAST)
    def careless(step: SyncStep) -> None:
        step.run("flaky", flaky)

    run = stage.ended(stage.send("go"), "careless")
    assert run.failure == Failure("ValueError", "attempt 2", "flaky")
    assert flaky.ran == 2, "the handler is not tried again for a step that has failed"


def test_handler_code_has_a_budget_of_its_own(stage: Stage) -> None:
    flaky = Flaky(2)

    @stage.app.function("fragile", trigger="go", retries=2, backoff=FAST)
    def fragile(step: SyncStep, run) -> list[int]:
        value = step.run("flaky", flaky)
        if run.attempt < 2:
            raise RuntimeError("the handler's own")
        return [value, run.attempt]

    run = stage.ended(stage.send("go"), "fragile")
    assert run.output == [3, 2]
    assert run.told == [
        ("flaky", 0, "retry"), ("flaky", 1, "retry"), ("flaky", 2, "ok"),
        ("", 0, "retry"), ("", 1, "retry"),
    ]  # fmt: skip


def test_handler_code_that_fails_for_good(stage: Stage) -> None:
    @stage.app.function("broken", trigger="go", retries=1, backoff=FAST)
    def broken() -> None:
        raise LookupError("lost")

    @stage.app.function("hopeless", trigger="go", retries=9)
    async def hopeless() -> None:
        raise NonRetriableError("no use")

    event = stage.send("go")
    run = stage.ended(event, "broken")
    assert (run.failure, run.told) == (Failure("LookupError", "lost", ""), [("", 0, "retry")])
    run = stage.ended(event, "hopeless")
    assert (run.failure, run.told) == (Failure("NonRetriableError", "no use", ""), [])


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_exits_fail_the_step(stage: Stage, error: BaseException) -> None:
    def leave() -> None:
        raise error

    @stage.app.function("leaving", trigger="go", retries=0)
    def leaving(step: SyncStep) -> None:
        step.run("leave", leave)

    run = stage.ended(stage.send("go"), "leaving")
    assert run.failure is not None
    assert (run.failure.name, run.failure.step) == (type(error).__name__, "leave")


def test_time_outs(stage: Stage) -> None:
    @stage.app.function("slow", trigger="go", retries=1, backoff=FAST)
    def slow(step: SyncStep) -> None:
        step.options(timeout="50ms").run("slow", time.sleep, 0.5)

    @stage.app.function("aslow", trigger="go", retries=0, timeout="50ms")
    async def aslow(step: Step) -> None:
        await step.run("slow", asyncio.sleep, 5)

    event = stage.send("go")
    run = stage.ended(event, "slow")
    assert run.failure is not None
    assert (run.failure.name, run.failure.step) == ("StepTimeout", "slow")
    assert run.told == [("slow", 0, "retry"), ("slow", 1, "failed")]
    run = stage.ended(event, "aslow")
    assert run.failure is not None and run.failure.name == "StepTimeout"


def test_gather_with_a_retry(stage: Stage) -> None:
    flaky = Flaky(1)

    async def note(name: str) -> str:
        await asyncio.sleep(0)
        return name

    @stage.app.function("many", trigger="go", backoff=FAST)
    async def many(step: Step) -> list[object]:
        return await asyncio.gather(
            step.run("a", note, "a"), step.run("flaky", flaky), step.run("b", note, "b")
        )

    run = stage.ended(stage.send("go"), "many")
    assert run.output == ["a", 2, "b"]
    assert sorted(run.told) == [
        ("a", 0, "ok"), ("b", 0, "ok"), ("flaky", 0, "retry"), ("flaky", 1, "ok"),
    ]  # fmt: skip


def test_gather_that_returns_exceptions(stage: Stage) -> None:
    flaky = Flaky(1)
    bad = Flaky(9, NonRetriableError)

    @stage.app.function("many", trigger="go", backoff=FAST)
    async def many(step: Step) -> list[str]:
        results = await asyncio.gather(
            step.run("bad", bad), step.run("flaky", flaky), return_exceptions=True
        )
        return [r.name if isinstance(r, StepError) else str(r) for r in results]

    assert stage.ended(stage.send("go"), "many").output == ["NonRetriableError", "2"]
