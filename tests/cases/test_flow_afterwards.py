"""What passed the gates goes on like any other run: it sleeps, is tried again, invoked, run again, paused."""

from __future__ import annotations

from typing import Any

import pytest
from cases.world import FAST, World

from qflow import Batch, Concurrency, Debounce, RateLimit, Singleton, SyncStep, Throttle
from qflow.cli.run import start
from qflow.engine.rerunning import Rerunner
from qflow.store import pause, script
from qflow.store.stream import Keep

KEEP = Keep(500, 500)
KINDS: dict[str, dict[str, Any]] = {
    "priority": {"priority": 60},
    "behind": {"priority": -60},
    "concurrency": {"concurrency": [Concurrency(2), Concurrency(1, per="run")]},
    "throttle": {"throttle": Throttle(10, "1s")},
    "rate limit": {"rate_limit": RateLimit(10, "1s")},
    "debounce": {"debounce": Debounce("50ms")},
    "batch": {"batch": Batch(2, "50ms")},
    "singleton": {"singleton": Singleton(mode="cancel")},
    "all": {
        "rate_limit": RateLimit(10, "1s"), "debounce": Debounce("50ms"), "priority": 5,
        "throttle": Throttle(10, "1s"), "singleton": Singleton(), "concurrency": 1,
    },
}  # fmt: skip


def define(world: World, flow: dict[str, Any]) -> None:
    tried: list[int] = []

    def fail_once() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("not yet")

    def handler(step: SyncStep) -> str:
        step.run("first", fail_once)
        step.sleep("nap", "20ms")
        return step.run("last", lambda: "done")

    world.app.function("work", trigger="go", backoff=FAST, **flow)(handler)


def nothing_is_left(world: World) -> None:
    kinds = ("slots:*", "backlog:*", "ring:*", "rings", "pending:*", "single:*", "behind")
    names = [name for kind in kinds for name in world.redis.call("KEYS", f"{world.keys.ns}:{kind}")]
    assert names == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_sleeps_and_is_tried_again(world: World, kind: str) -> None:
    define(world, KINDS[kind])
    world.worker()
    ended = world.outcome("work", "go")
    assert ended.output == "done"
    assert len(ended.told("retry")) == 1
    nothing_is_left(world)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_started_directly_and_again(world: World, kind: str) -> None:
    define(world, KINDS[kind])
    world.worker()
    run = start(world.redis, world.keys, "work", {}, KEEP)
    assert world.until_status(run, "completed").output == "done"
    again = Rerunner(world.redis, world.keys, KEEP).rerun(run)
    assert world.until_status(again, "completed").output == "done"
    nothing_is_left(world)


@pytest.mark.parametrize("kind", ["concurrency", "throttle", "batch", "behind", "all"])
def test_a_pause_holds_back_who_has_passed(world: World, kind: str) -> None:
    define(world, KINDS[kind])
    world.publish()
    script.run(world.redis, pause.pause(world.keys, "work", "hold"))
    run = world.run_of(world.send("go"), "work")
    world.worker()
    world.until(
        lambda: world.redis.call("HGET", world.keys.run(run), "lane").startswith(b"h"),
        "the run to be held",
    )
    assert world.redis.call("KEYS", f"{world.keys.ns}:slots:fn:work:0*") == []
    pause.unpause(world.redis, world.keys, "work")
    assert world.until_status(run, "completed").output == "done"
    nothing_is_left(world)


@pytest.mark.parametrize("kind", ["batch", "debounce"])
def test_every_invoker_of_a_merged_run_gets_its_result(world: World, kind: str) -> None:
    flow = {"batch": {"batch": Batch(3, "1h")}, "debounce": {"debounce": Debounce("300ms")}}[kind]
    world.app.function("inner", trigger="never", **flow)(lambda: "shared")

    def outer(step: SyncStep) -> Any:
        return step.invoke("call", "inner", data={})

    world.app.function("outer", trigger="go")(outer)
    world.worker()
    sent = [world.send("go") for _ in range(3)]
    assert [world.ended(event, "outer").output for event in sent] == ["shared"] * 3


def test_an_invoker_hears_that_the_run_was_skipped(world: World) -> None:
    world.app.function("inner", trigger="never", rate_limit=RateLimit(1, "1h"))(lambda: "once")
    world.app.function("outer", trigger="go")(lambda step: step.invoke("call", "inner", data={}))
    world.worker()
    assert world.outcome("outer", "go").output == "once"
    assert "rate limit: 1 runs in 1h have started" in world.outcome("outer", "go").error["message"]


def test_a_handler_that_waits_holds_nothing(world: World) -> None:
    def handler(step: SyncStep) -> None:
        step.wait_for_event("later", event="never", timeout="1h")

    world.app.function("work", trigger="go", concurrency=1)(handler)
    world.worker()
    runs = [world.run_of(world.send("go"), "work") for _ in range(3)]
    for run in runs:
        world.until_status(run, "waiting")
    nothing_is_left(world)
