"""Runs with open steps are paused, hastened, run again, and meet changed code."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from cases.world import World

import qflow
from qflow import Run, Step, StepError, SyncStep
from qflow.engine.rerunning import Change, Rerunner
from qflow.read.audit import audit
from qflow.read.finished import before
from qflow.store import again, pause, script
from qflow.store.stream import Keep

SLOW = qflow.Backoff(base="1h", factor=1, max="1h", jitter=False)


def set_paused(world: World, function: str, how: str = "skip") -> None:
    assert script.run(world.redis, pause.pause(world.keys, function, how)) == 1


def hasten(world: World, run: str, what: str, step: str = "") -> list[Any]:
    return list(script.run(world.redis, again.hasten(world.keys, run, what, step, 500)))


def rerun(world: World, run: str, start: str, **change: Any) -> Any:
    kept = before(world.redis, world.keys, run, start).kept
    made = Rerunner(world.redis, world.keys, Keep(500, 700))
    new = made.rerun(run, Change(**change), kept)
    return world.until_status(new, "completed", "failed")


@pytest.mark.parametrize("flavour", ["async", "sync"])
def test_a_pause_holds_branches(world: World, flavour: str) -> None:
    began, go_on = threading.Event(), threading.Event()
    ran: list[int] = []

    def first() -> None:
        began.set()
        assert go_on.wait(10)

    @world.app.function("async", trigger="go/async")
    async def many(step: Step) -> str:
        await step.run("first", first)
        await asyncio.gather(*(step.run(f"s{n}", ran.append, n) for n in range(3)))
        return "done"

    @world.app.function("sync", trigger="go/sync")
    def many_sync(step: SyncStep) -> str:
        step.run("first", first)
        step.parallel(*(lambda n=n: step.run(f"s{n}", ran.append, n) for n in range(3)))
        return "done"

    world.worker()
    event = world.send(f"go/{flavour}")
    run = world.run_of(event, flavour)
    assert began.wait(10)
    set_paused(world, flavour)
    go_on.set()
    held = world.keys.held(flavour)
    world.until(
        lambda: world.redis.call("LLEN", held) in (1, 3), "the run, or its branches, to be held"
    )
    assert ran == []
    assert audit(world.redis, world.keys, 0.01).findings == ()
    while pause.unpause(world.redis, world.keys, flavour).left:
        pass
    assert world.ended(event, flavour).output == "done"
    assert sorted(ran) == [0, 1, 2]
    assert world.look(run).fields["forked"] == "1"
    assert world.redis.call("EXISTS", held, world.keys.paused) == 0


def test_held_branches_of_a_cancelled_run_are_forgotten(world: World) -> None:
    @world.app.function("many", trigger="go")
    async def many(step: Step) -> None:
        await asyncio.gather(step.wait_for_event("e", "said"), step.run("a", int))

    def held() -> bool:
        return bool(world.redis.call("LLEN", world.keys.held("many")))

    worker = world.worker()
    world.stop([worker])
    set_paused(world, "many", "hold")
    event = world.send("go")
    run = world.run_of(event, "many")
    world.until(held, "the run to be held")
    assert world.app.cancel(run)
    assert pause.unpause(world.redis, world.keys, "many").queued == 0
    assert audit(world.redis, world.keys, 0.01).findings == ()


def test_an_invoked_run_of_a_paused_function(world: World) -> None:
    world.app.function("child", trigger="never")(lambda: "done")

    @world.app.function("parent", trigger="go")
    async def parent(step: Step) -> str:
        try:
            return str(await step.invoke("call", "child"))
        except StepError as error:
            return f"{error.name}: {error.message}"

    world.worker()
    set_paused(world, "child")
    told = "RunSkipped: the invoked run was skipped: its function is paused"
    assert world.outcome("parent", "go").output == told
    pause.unpause(world.redis, world.keys, "child")
    set_paused(world, "child", "hold")
    event = world.send("go")
    run = world.run_of(event, "parent")
    world.until_status(run, "waiting")
    world.until(lambda: world.redis.call("LLEN", world.keys.held("child")), "the child to be held")
    pause.unpause(world.redis, world.keys, "child")
    assert world.ended(event, "parent").output == "done"


def test_open_steps_go_on_now(world: World) -> None:
    tries: list[int] = []

    def fails_once(n: int) -> int:
        tries.append(n)
        if tries.count(n) == 1:
            raise ValueError("once")
        return n

    @world.app.function("many", trigger="go", backoff=SLOW)
    async def many(step: Step) -> list[Any]:
        return await asyncio.gather(
            step.sleep("short", "1d"),
            step.sleep("long", "2d"),
            step.run("a", fails_once, 1),
            step.run("b", fails_once, 2),
            step.wait_for_event("event", "said", timeout="1d"),
        )

    world.worker()
    event = world.send("go")
    run = world.run_of(event, "many")
    world.until(lambda: len(world.look(run).told("retry")) == 2, "both to wait for another try")
    assert hasten(world, run, "retry", "long") == [0, b"sleep", b"long"]
    assert hasten(world, run, "sleep", "event") == [-1, b"waiting"]
    assert hasten(world, run, "sleep", "short") == [1, b"short"]
    assert sorted(hasten(world, run, "retry")[1:]) == [b"a", b"b"]
    world.until(lambda: {"a", "b", "short"} <= world.look(run).steps.keys(), "them to go on")
    assert hasten(world, run, "sleep") == [1, b"long"]
    world.send("said", {"n": 1})
    assert world.ended(event, "many").output[:4] == [None, None, 1, 2]


def test_a_run_again_keeps_who_won(world: World) -> None:
    late, ran = threading.Event(), list[str]()
    late.set()

    def quick() -> str:
        return "quick"

    def fails() -> None:
        ran.append("fails")
        if len(ran) == 1:
            raise ValueError("once")

    @world.app.function("race", trigger="go", retries=0)
    async def race(step: Step) -> str:
        tasks = [
            asyncio.create_task(step.run("slow", late.wait, 10)),
            asyncio.create_task(step.run("quick", quick)),
        ]
        won = []
        for each in asyncio.as_completed(tasks):
            won.append(str(await each))
        await step.run("fails", fails)
        return ", ".join(won)

    @world.app.function("both", trigger="go/sync", retries=0)
    def both(step: SyncStep) -> object:
        found = step.parallel(lambda: step.run("a", lambda: 1), lambda: step.run("b", lambda: 2))
        step.run("fails", fails)
        return found

    world.worker()
    failed = world.outcome("race", "go")
    assert failed.status == "failed"
    order = world.redis.call("LRANGE", world.keys.order(failed.id), 0, -1)
    new = rerun(world, failed.id, "fails")
    told = {b"slow": "True", b"quick": "quick"}
    assert new.output == ", ".join(told[step] for step in order)
    assert world.redis.call("LRANGE", world.keys.order(new.id), 0, -1) == order
    assert new.told("claim") and ran == ["fails", "fails"]
    ran.clear()
    failed = world.outcome("both", "go/sync")
    assert rerun(world, failed.id, "fails").output == [1, 2]
    again_from_a_branch = rerun(world, failed.id, "a")
    assert again_from_a_branch.output == [1, 2]


def test_a_branch_is_given_other_input(world: World) -> None:
    @world.app.function("many", trigger="go")
    async def many(step: Step) -> list[int]:
        first, second = await asyncio.gather(
            step.run("double", lambda n: n * 2, 4), step.run("other", int)
        )
        await step.send_event("tell", qflow.Event("said"))
        return [first, second]

    world.worker()
    done = world.outcome("many", "go")
    assert rerun(world, done.id, "double", step="double", input=7).output == [14, 0]
    refused = rerun(world, done.id, "tell", step="tell", input=7)
    assert "calls no function" in refused.error["message"]


def test_a_patch_around_a_group(world: World) -> None:
    paths: list[bool] = []
    version = {"new": False}

    @world.app.function("many", trigger="go")
    async def many(step: Step, run: Run) -> str:
        path = version["new"] and run.patched("p")
        paths.append(path)
        await asyncio.gather(step.wait_for_event("one", "one"), step.wait_for_event("two", "two"))
        return f"{path} {version['new'] and run.patched('q')}"

    first = world.worker()
    event = world.send("go")
    run = world.run_of(event, "many")
    world.until(lambda: world.redis.call("HLEN", world.keys.open(run)) == 2, "both waits")
    world.stop([first])
    version["new"] = True
    world.worker()
    for name in ("one", "two"):
        world.send(name)
    assert world.ended(event, "many").output == "False True"
    assert world.look(run).fields["patch:q"] == "1"
    assert "patch:p" not in world.look(run).fields
    event = world.send("go")
    run = world.run_of(event, "many")
    world.until(lambda: world.redis.call("HLEN", world.keys.open(run)) == 2, "both waits")
    assert json.loads(world.look(run).fields["patch:p"]) == 1
    for name in ("one", "two"):
        world.send(name)
    assert world.ended(event, "many").output == "True True"
