"""Concurrency limits count steps of groups like any other step: branches of gather, parallel and map."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from cases.test_concurrency import Gauge, all_ended, nothing_is_left
from cases.world import World

from qflow import Concurrency, Event, Step, SyncStep


def define(world: World, kind: str, gauge: Gauge, limits: Any) -> None:
    """A function whose runs have four branches, and a step after them."""

    async def fan(event: Event[Any], step: Step) -> None:
        key = str(event.data.get("tenant", ""))
        await asyncio.gather(*(step.run(f"s{n}", gauge, key) for n in range(4)))
        await step.run("join", gauge, key)

    def parallel(event: Event[Any], step: SyncStep) -> None:
        key = str(event.data.get("tenant", ""))
        step.parallel(*(lambda n=n: step.run(f"s{n}", gauge, key) for n in range(4)))
        step.run("join", gauge, key)

    def mapped(event: Event[Any], step: SyncStep) -> None:
        key = str(event.data.get("tenant", ""))
        step.map("s", lambda _: gauge(key), range(4))
        step.run("join", gauge, key)

    handler = {"gather": fan, "parallel": parallel, "map": mapped}[kind]
    world.app.function("work", trigger="go", concurrency=limits)(handler)


@pytest.mark.parametrize("kind", ["gather", "parallel", "map"])
def test_branches_are_counted(world: World, kind: str) -> None:
    gauge = Gauge()
    define(world, kind, gauge, [Concurrency(3), Concurrency(2, key="event.data.tenant")])
    world.worker(slots=8)
    sent = [world.send("go", {"tenant": tenant}) for _ in range(3) for tenant in "ab"]
    ended = all_ended(world, "work", sent)
    assert {run.status for run in ended} == {"completed"}
    assert len(gauge.order) == 5 * len(sent)
    assert gauge.most["all"] == 3
    assert max(gauge.most["a"], gauge.most["b"]) == 2
    nothing_is_left(world)


def test_branches_of_one_run_are_side_by_side(world: World) -> None:
    meet = threading.Barrier(4, timeout=30)

    async def fan(step: Step) -> None:
        await asyncio.gather(*(step.run(f"s{n}", meet.wait) for n in range(4)))

    world.app.function("work", trigger="go", concurrency=4)(fan)
    world.worker(slots=8)
    assert world.ended(world.send("go"), "work").status == "completed"
    nothing_is_left(world)


def test_a_limit_per_run_counts_a_run_with_its_branches_once(world: World) -> None:
    gauge = Gauge()
    define(world, "gather", gauge, Concurrency(1, per="run"))
    world.worker(slots=8)
    all_ended(world, "work", [world.send("go") for _ in range(3)])
    joins = len(gauge.order)
    assert joins == 15
    nothing_is_left(world)


def test_branches_of_an_older_run_go_before_newer_runs(world: World) -> None:
    order: list[int] = []
    started, all_sent = threading.Event(), threading.Event()

    def first(number: int) -> None:
        started.set()
        assert all_sent.wait(30)
        order.append(number)

    async def fan(event: Event[Any], step: Step) -> None:
        number = event.data["n"]
        await step.run("first", first, number)
        await asyncio.gather(*(step.run(f"s{n}", order.append, number) for n in range(3)))

    world.app.function("work", trigger="go", concurrency=1)(fan)
    world.worker()
    sent = [world.send("go", {"n": 0})]
    assert started.wait(30)
    sent += [world.send("go", {"n": number}) for number in range(1, 4)]
    for event in sent:
        world.run_of(event, "work")
    all_sent.set()
    all_ended(world, "work", sent)
    assert order == sorted(order)
    nothing_is_left(world)


def test_a_run_that_an_event_woke_is_counted_again(world: World) -> None:
    gauge = Gauge()

    def waits(event: Event[Any], step: SyncStep) -> None:
        step.wait_for_event("go-on", "on", timeout="1m")
        for n in range(2):
            step.run(f"s{n}", gauge, "")

    world.app.function("work", trigger="go", concurrency=2)(waits)
    world.worker(slots=8)
    sent = [world.send("go") for _ in range(8)]
    for event in sent:
        world.until_status(world.run_of(event, "work"), "waiting")
    world.send("on")
    all_ended(world, "work", sent)
    assert gauge.most["all"] == 2
    nothing_is_left(world)


def test_a_branch_that_fails_for_now_holds_nothing(world: World) -> None:
    tried, done = threading.Event(), threading.Event()

    def fail() -> None:
        tried.set()
        raise ValueError("not yet")

    async def fan(step: Step) -> None:
        await asyncio.gather(step.run("fail", fail), step.run("work", done.set))

    world.app.function("work", trigger="go", concurrency=1)(fan)
    world.worker()
    run = world.run_of(world.send("go"), "work")
    assert tried.wait(30) and done.wait(30)
    assert world.app.cancel(run)
    nothing_is_left(world)
