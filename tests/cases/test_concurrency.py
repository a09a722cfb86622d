"""Concurrency limits: never exceeded as the steps themselves count it, handed on at once, and in turn."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest
from cases.world import World

from qflow import Concurrency, Event, SyncStep
from qflow.errors import DefinitionError


class Gauge:
    """Counts who is inside, by key, and how many there were at most."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, key: str, seconds: float = 0.02) -> None:
        with self._lock:
            self.now[key] += 1
            self.now["all"] += 1
            self.order.append(key)
            for each in (key, "all"):
                self.most[each] = max(self.most[each], self.now[each])
        time.sleep(seconds)
        with self._lock:
            self.now[key] -= 1
            self.now["all"] -= 1


def nothing_is_left(world: World) -> None:
    """Nobody holds or waits for a slot."""
    kinds = ("slots:*", "backlog:*", "ring:*", "rings")
    left = [name for kind in kinds for name in world.redis.call("KEYS", f"{world.keys.ns}:{kind}")]
    assert left == []


def all_ended(world: World, function: str, sent: list[str]) -> list[Any]:
    return [world.ended(event, function, 60) for event in sent]


def work(gauge: Gauge, steps: int = 2) -> Any:
    def handler(event: Event[Any], step: SyncStep) -> None:
        for number in range(steps):
            step.run(f"s{number}", gauge, str(event.data.get("tenant", "")))

    return handler


def test_a_limit_of_a_function(world: World) -> None:
    gauge = Gauge()
    world.app.function("work", trigger="go", concurrency=2)(work(gauge))
    world.worker()
    ended = all_ended(world, "work", [world.send("go") for _ in range(12)])
    assert {run.status for run in ended} == {"completed"}
    assert gauge.most["all"] == 2
    nothing_is_left(world)


def test_each_value_of_a_key_has_its_own(world: World) -> None:
    gauge = Gauge()
    limit = Concurrency(1, key="event.data.tenant")
    world.app.function("work", trigger="go", concurrency=limit)(work(gauge))
    world.worker()
    sent = [world.send("go", {"tenant": tenant}) for _ in range(4) for tenant in "abc"]
    all_ended(world, "work", sent)
    assert [gauge.most[tenant] for tenant in "abc"] == [1, 1, 1]
    assert gauge.most["all"] > 1
    nothing_is_left(world)


def test_two_limits_hold_at_once(world: World) -> None:
    gauge = Gauge()
    both = [Concurrency(3), Concurrency(2, key="event.data.tenant")]
    world.app.function("work", trigger="go", concurrency=both)(work(gauge))
    world.worker(slots=8)
    sent = [world.send("go", {"tenant": tenant}) for _ in range(8) for tenant in "ab"]
    all_ended(world, "work", sent)
    assert gauge.most["all"] == 3
    assert max(gauge.most["a"], gauge.most["b"]) == 2
    nothing_is_left(world)


def test_functions_of_an_app_share_a_key(world: World) -> None:
    gauge = Gauge()
    limit = Concurrency(1, key="event.data.tenant", scope="app")
    for name in ("one", "two"):
        world.app.function(name, trigger="go", concurrency=limit)(work(gauge))
    world.worker()
    sent = [world.send("go", {"tenant": "a"}) for _ in range(4)]
    all_ended(world, "one", sent)
    all_ended(world, "two", sent)
    assert gauge.most["a"] == 1
    nothing_is_left(world)


def test_sleeping_and_failing_hold_nothing(world: World) -> None:
    inside = threading.Event()

    def fail_at_first(run: str, tries: Counter[str] = Counter()) -> None:  # noqa: B006
        tries[run] += 1
        if tries[run] == 1:
            raise ValueError("not yet")

    def handler(event: Event[Any], step: SyncStep) -> None:
        if event.data["kind"] == "sleep":
            step.sleep("long", "1h")
        elif event.data["kind"] == "retry":
            step.options(backoff=__import__("qflow").Backoff("1h", jitter=False)).run(
                "fail", fail_at_first, event.id
            )
        step.run("work", inside.set)

    world.app.function("work", trigger="go", concurrency=1)(handler)
    world.worker()
    for kind in ("sleep", "retry"):
        world.until_status(world.run_of(world.send("go", {"kind": kind}), "work"), "waiting")
    world.ended(world.send("go", {"kind": "run"}), "work")
    assert inside.is_set()
    nothing_is_left(world)


def test_a_slot_for_the_whole_run(world: World) -> None:
    active: Counter[str] = Counter()
    most: list[int] = []

    def enter(change: int) -> None:
        active["runs"] += change
        most.append(active["runs"])

    def handler(step: SyncStep) -> None:
        step.run("enter", enter, 1)
        step.sleep("a moment", "50ms")
        step.run("leave", enter, -1)

    world.app.function("work", trigger="go", concurrency=Concurrency(1, per="run"))(handler)
    world.worker()
    all_ended(world, "work", [world.send("go") for _ in range(5)])
    assert max(most) == 1
    nothing_is_left(world)


def test_a_failed_run_frees_its_slots(world: World) -> None:
    def handler(step: SyncStep) -> None:
        raise ValueError("no")

    both = [Concurrency(1), Concurrency(1, per="run")]
    world.app.function("work", trigger="go", concurrency=both, retries=0)(handler)
    world.worker()
    ended = all_ended(world, "work", [world.send("go") for _ in range(5)])
    assert {run.status for run in ended} == {"failed"}
    nothing_is_left(world)


def test_a_tenant_with_one_run_waits_for_one_step_of_another(world: World) -> None:
    gauge = Gauge()
    both = [Concurrency(1), Concurrency(1, key="event.data.tenant")]
    world.app.function("work", trigger="go", concurrency=both)(work(gauge, steps=3))
    sent = [world.send("go", {"tenant": "noisy"}) for _ in range(30)]
    world.worker()
    world.until(lambda: len(gauge.order) > 3, "the noisy tenant to be at work")
    before = len(gauge.order)
    mine = world.send("go", {"tenant": "quiet"})
    world.ended(mine, "work")
    order = gauge.order[before:]
    first, last = order.index("quiet"), len(order) - 1 - order[::-1].index("quiet")
    assert "noisy noisy" not in " ".join(order[first : last + 1]), order
    all_ended(world, "work", sent)
    assert gauge.most["all"] == 1
    nothing_is_left(world)


def test_older_runs_go_before_newer_ones(world: World) -> None:
    order: list[tuple[int, int]] = []

    def handler(event: Event[Any], step: SyncStep) -> None:
        for number in range(3):
            step.run(f"s{number}", lambda at=number: order.append((event.data["n"], at)))

    world.app.function("work", trigger="go", concurrency=1)(handler)
    sent = [world.send("go", {"n": n}) for n in range(6)]
    world.worker()
    all_ended(world, "work", sent)
    assert order == sorted(order)


def test_cancelled_while_it_waits_or_works(world: World) -> None:
    release = threading.Event()
    world.app.function("work", trigger="go", concurrency=1)(
        lambda step: step.run("wait", release.wait, 10)
    )
    world.worker()
    runs = [world.run_of(world.send("go"), "work") for _ in range(3)]
    world.until_status(runs[0], "running")
    assert world.app.cancel(runs[1])
    assert world.app.cancel(runs[0])
    world.until_status(runs[2], "running")
    release.set()
    world.until_status(runs[2], "completed")
    nothing_is_left(world)


def test_a_raised_limit_serves_who_waits(world: World) -> None:
    gauge = Gauge()
    world.app.function("work", trigger="go", concurrency=1)(work(gauge, steps=1))
    world.publish()
    sent = [world.send("go") for _ in range(10)]
    for event in sent:
        world.run_of(event, "work")
    other = world.make_app("tests")
    other.function("work", trigger="go", concurrency=4)(
        lambda event, step: step.run("s", gauge, "", 0.2)
    )
    world.worker(other, slots=8)
    all_ended(world, "work", sent)
    assert gauge.most["all"] == 4
    nothing_is_left(world)


def test_a_dropped_limit_serves_who_waits(world: World) -> None:
    world.app.function("work", trigger="go", concurrency=1)(lambda: None)
    world.publish()
    sent = [world.send("go") for _ in range(10)]
    for event in sent:
        world.run_of(event, "work")
    other = world.make_app("tests")
    other.function("work", trigger="go")(lambda: None)
    world.worker(other)
    all_ended(world, "work", sent)
    nothing_is_left(world)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (0, "whole number from 1"),
        (True, "takes a number"),
        ([Concurrency(1), Concurrency(2)], "limits the same thing twice"),
        ([1, Concurrency(1, key="event.id"), Concurrency(1, per="run")], "has 3 limits"),
        ([], "has 0 limits"),
    ],
)
def test_senseless_limits_are_refused(world: World, given: Any, problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        world.app.function("work", trigger="go", concurrency=given)(lambda: None)


def test_functions_that_share_a_limit_agree_on_it(world: World) -> None:
    for name, limit in (("one", 1), ("two", 2)):
        shared = Concurrency(limit, key="event.data.tenant", scope="app")
        define = world.app.function(name, trigger="go", concurrency=shared)
        if name == "one":
            define(lambda: None)
            continue
        with pytest.raises(DefinitionError, match="but function 'one' to 1; give both the same"):
            define(lambda: None)


def test_a_limited_run_is_woken_as_soon_as_its_wait_is_over(world: World) -> None:
    @world.app.function("f", trigger="go", concurrency=1)
    def f(step: SyncStep) -> str:
        return str(step.wait_for_signal("bell", "bell"))

    world.worker()
    event = world.send("go")
    world.until(lambda: world.app.signal("bell", "rung"), "the step to wait")
    assert world.ended(event, "f").output == "rung"
    job = f"{world.run_of(event, 'f')}-enter-2"
    assert world.redis.call("HGET", world.keys.job(job), "rank") is None, "it goes past nobody"
