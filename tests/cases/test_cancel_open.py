"""Runs with open steps are ended from outside: nothing of them is left, and who waits for them is told."""

from __future__ import annotations

import asyncio
import threading

from cases.world import FAST, World

from qflow import Backoff, CancelOn, Run, Step, StepError, SyncStep, Timeouts
from qflow.read.audit import audit


def quiet(world: World, run: str) -> None:
    """Check that nothing of a cancelled run is left in any place that would go on with it."""
    keys = world.keys
    assert world.look(run).status == "cancelled"
    names = [name.decode() for name in world.redis.call("KEYS", f"{keys.ns}:*")]
    left = [name for name in names if name.startswith((keys.waiters(""), keys.signal("")))]
    assert left == []
    assert world.redis.call("EXISTS", keys.open(run), keys.approvals, keys.forks) == 0
    timers = [raw.decode() for raw in world.redis.call("ZRANGE", keys.scheduled, 0, -1)]
    assert [job for job in timers if job.startswith(run)] == []
    for part in (keys.run(run), keys.steps(run), keys.trace(run), keys.waits(run), keys.order(run)):
        assert world.redis.call("TTL", part) != -1
    assert audit(world.redis, keys, 0.01).findings == ()


def test_a_run_that_waits_for_everything(world: World) -> None:
    def fails() -> None:
        raise ValueError("again and again")

    @world.app.function("child", trigger="never")
    def child(step: SyncStep) -> None:
        step.sleep("long", "1d")

    @world.app.function("many", trigger="go", backoff=Backoff(base="1h", max="1h"))
    async def many(step: Step) -> None:
        await asyncio.gather(
            step.wait_for_event("event", "said", timeout="1h"),
            step.wait_for_signal("signal", "door"),
            step.approval("sign", "may it"),
            step.sleep("long", "1d"),
            step.run("flaky", fails),
            step.invoke("child", child),
        )

    world.worker()
    run = world.run_of(world.send("go"), "many")
    world.until(lambda: world.look(run).told("retry"), "a branch to wait for its next attempt")
    world.until(lambda: world.redis.call("HLEN", world.keys.open(run)) == 6, "six open steps")
    called = next(name for name in world.look(run).fields if name.startswith("child:"))
    invoked = world.look(run).fields[called]
    world.until_status(invoked, "waiting")
    assert world.app.cancel(run)
    quiet(world, run)
    assert not world.app.signal("door"), "nobody waits for it"
    assert world.look(invoked).status == "waiting", "an invoked run goes on by itself"
    assert world.app.cancel(invoked)
    assert world.look(run).status == "cancelled"


def test_branches_on_another_worker_are_interrupted(world: World) -> None:
    began, told, go_on = threading.Barrier(3), threading.Event(), threading.Event()

    async def hang() -> None:
        await asyncio.to_thread(began.wait, 10)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.set()
            raise

    def block() -> None:
        began.wait(10)
        assert go_on.wait(10)

    @world.app.function("many", trigger="go", retries=2, backoff=FAST)
    async def many(step: Step) -> None:
        await asyncio.gather(step.run("hang", hang), step.run("block", block))

    workers = [world.worker(slots=1) for _ in range(2)]
    run = world.run_of(world.send("go"), "many")
    began.wait(10)
    assert world.app.cancel(run)
    assert told.wait(3), "the async branch was not told"
    go_on.set()
    for each in workers:
        world.until(lambda each=each: each.worker.slots.free == 1, "its place")
    quiet(world, run)
    assert world.look(run).steps == {}
    assert world.look(run).told("retry") == []
    assert world.counter("fenced") == 0
    assert world.emitted("commit.fenced") == world.emitted("loop.failed") == []


def test_a_branch_of_a_sync_handler_may_look(world: World) -> None:
    began, seen = threading.Barrier(3), threading.Barrier(3)

    def look(run: Run) -> None:
        began.wait(10)
        world.until(lambda: run.cancelled, "the branch to hear of it")
        seen.wait(10)

    @world.app.function("many", trigger="go")
    def many(step: SyncStep, run: Run) -> None:
        step.parallel(lambda: step.run("a", look, run), lambda: step.run("b", look, run))

    for _ in range(2):
        world.worker(slots=1)
    run = world.run_of(world.send("go"), "many")
    began.wait(10)
    assert world.app.cancel(run)
    seen.wait(10)
    quiet(world, run)


def test_a_suspended_handler_is_interrupted(world: World) -> None:
    told = threading.Event()
    seen: list[bool] = []

    @world.app.function("wait", trigger="go")
    async def wait(step: Step, run: Run) -> None:
        try:
            await step.wait_for_event("event", "said", timeout="1h")
        except asyncio.CancelledError:
            seen.append(run.cancelled)
            told.set()
            raise

    worker = world.worker()
    run = world.run_of(world.send("go"), "wait")
    world.until(lambda: worker.worker.slots.suspended(), "a suspended frame")
    assert world.app.cancel(run)
    assert told.wait(3), "the handler was not told"
    assert seen == [True]
    quiet(world, run)


def test_the_step_that_invoked_a_cancelled_run_fails(world: World) -> None:
    @world.app.function("child", trigger="never", cancel_on=CancelOn("stop", match="data.n"))
    def child(step: SyncStep) -> None:
        step.sleep("long", "1d")

    @world.app.function("slow", trigger="never", timeouts=Timeouts(finish="200ms"))
    def slow(step: SyncStep) -> None:
        step.wait_for_event("event", "said", timeout="1h")

    @world.app.function("parent", trigger="go")
    def parent(step: SyncStep) -> list[str]:
        told = []
        for name, target in (("by event", child), ("by deadline", slow)):
            try:
                step.invoke(name, target, data={"n": 3})
            except StepError as error:
                told.append(f"{error.step_id}: {error.name}: {error.message}")
        return told

    world.worker()
    event = world.send("go")
    run = world.run_of(event, "parent")
    world.until(
        lambda: world.redis.call("ZCARD", world.keys.by_status("waiting")) == 2, "the child"
    )
    world.send("stop", {"n": 4})
    world.send("stop", {"n": 3})
    assert world.ended(event, "parent").output == [
        "by event: RunCancelled: the invoked run was cancelled",
        "by deadline: RunCancelled: the invoked run was cancelled",
    ]
    assert world.look(run).status == "completed"
    assert world.redis.call("ZCARD", world.keys.deadlines) == 0


def test_a_deadline_while_it_waits_for_an_event(world: World) -> None:
    @world.app.function("wait", trigger="go", timeouts=Timeouts(finish="300ms"))
    async def wait(step: Step) -> None:
        await step.wait_for_event("event", "said", timeout="1h")

    world.worker()
    found = world.ended(world.send("go"), "wait")
    assert (found.status, found.fields["reason"]) == ("cancelled", "it did not finish within 0.3 s")
    quiet(world, found.id)


def test_failed_branches_are_one_failure(world: World) -> None:
    failures: list[str] = []

    def fails(n: int) -> None:
        raise ValueError(f"branch {n}")

    def on_failure(event: object) -> None:
        failures.append(event.data["step"])

    @world.app.function("many", trigger="go", retries=0, on_failure=on_failure)
    async def many(step: Step) -> None:
        await asyncio.gather(*(step.run(f"s{n}", fails, n) for n in range(3)))

    world.worker()
    event = world.send("go")
    failed = world.ended(event, "many")
    assert failed.status == "failed"
    assert world.ended(f"{failed.id}:failed", "many-failure").status == "completed"
    world.until(lambda: not world.redis.call("LLEN", world.keys.queue), "the queue to be empty")
    assert failures == [failed.error["step"]]
    assert world.redis.call("ZCARD", world.keys.by_function("many-failure", "completed")) == 1
