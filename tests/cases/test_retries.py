"""A failed step is tried again under its own or its function's policy, each attempt a job."""

from __future__ import annotations

import pytest
from cases.world import FAST, World

from qflow import Backoff, NonRetriableError, Step, StepError, SyncStep


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


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_function_policy(world: World, kind: str) -> None:
    flaky = Flaky(2)
    before = []

    if kind == "sync":

        @world.app.function("retried", trigger="go", retries=2, backoff=FAST)
        def retried(step: SyncStep) -> int:
            step.run("before", before.append, 1)
            return step.run("flaky", flaky)

    else:

        @world.app.function("retried", trigger="go", retries=2, backoff=FAST)
        async def retried(step: Step) -> int:
            await step.run("before", before.append, 1)
            return await step.run("flaky", flaky)

    world.worker()
    run = world.outcome("retried", "go")
    assert run.output == 3
    assert before == [1], "a finished step never runs again"
    failures = run.told("retry")
    assert [(told["id"], told["a"], told["error"]["message"]) for told in failures] == [
        ("flaky", 0, "attempt 1"),
        ("flaky", 1, "attempt 2"),
    ]
    assert "ValueError: attempt 1" in failures[0]["error"]["traceback"]
    assert "/qflow/" not in failures[0]["error"]["traceback"]
    assert run.fields["attempt"] == "0", "attempts of steps are not the handler's"
    told = [event for event in world.emitted("step.ended") if event["step"] == "flaky"]
    assert [(event["attempt"], event["outcome"]) for event in told] == [
        (0, "retry"), (1, "retry"), (2, "ok"),
    ]  # fmt: skip


def test_step_policy_wins_over_the_function(world: World) -> None:
    flaky = Flaky(9)

    @world.app.function("retried", trigger="go", retries=20)
    def retried(step: SyncStep) -> int:
        return step.options(retries=1, backoff=FAST).run("flaky", flaky)

    world.worker()
    run = world.outcome("retried", "go")
    assert flaky.ran == 2
    assert run.error["name"] == "ValueError"
    assert run.error["message"] == "attempt 2"
    assert run.error["step"] == "flaky"


def test_no_retries(world: World) -> None:
    flaky = Flaky(9)

    @world.app.function("retried", trigger="go", retries=0)
    def retried(step: SyncStep) -> int:
        return step.run("flaky", flaky)

    world.worker()
    assert world.outcome("retried", "go").status == "failed"
    assert flaky.ran == 1


def test_backoff_sets_the_delays(world: World) -> None:
    grown = Backoff(base="50ms", factor=3, max="120ms", jitter=False)
    flaky = Flaky(3)

    @world.app.function("retried", trigger="go", retries=3, backoff=grown)
    def retried(step: SyncStep) -> int:
        return step.run("flaky", flaky)

    world.worker()
    event = world.send("go")
    run = world.ended(event, "retried")
    entries = world.redis.call("XRANGE", world.keys.trace(run.id), "-", "+")
    delays = []
    for entry, flat in entries:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        if b"due" in fields:
            delays.append(int(fields[b"due"]) - int(entry.split(b"-")[0]))
    assert [round(delay, -1) for delay in delays] == [50, 120, 120]


def test_default_schedule_is_seconds_not_milliseconds(world: World) -> None:
    flaky = Flaky(1)

    @world.app.function("retried", trigger="go")
    def retried(step: SyncStep) -> int:
        return step.run("flaky", flaky)

    world.worker()
    run = world.until_status(world.run_of(world.send("go"), "retried"), "waiting")
    (retry,) = run.told("retry")
    assert int(run.fields["due"]) - int(retry["e"]) <= 15_000 + 500, "and what the commit took"
    assert run.fields["lane"].startswith("d|")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_non_retriable_ends_the_step_and_can_be_caught(world: World, kind: str) -> None:
    flaky = Flaky(9, NonRetriableError)
    caught = []

    if kind == "sync":

        @world.app.function("retried", trigger="go", retries=9, backoff=FAST)
        def retried(step: SyncStep) -> str:
            try:
                step.run("flaky", flaky)
            except StepError as error:
                caught.append(error)
            step.sleep("re-enter", 0.01)
            return "went on"

    else:

        @world.app.function("retried", trigger="go", retries=9, backoff=FAST)
        async def retried(step: Step) -> str:
            try:
                await step.run("flaky", flaky)
            except StepError as error:
                caught.append(error)
            await step.sleep("re-enter", 0.01)
            return "went on"

    world.worker()
    assert world.outcome("retried", "go").output == "went on"
    assert flaky.ran == 1, "its failure is remembered too"
    assert len(caught) == 2
    for error in caught:
        assert (error.name, error.message, error.step_id) == (
            "NonRetriableError", "attempt 1", "flaky",
        )  # fmt: skip
        assert "attempt 1" in error.traceback
