"""A process dies at each of its named boundaries; another one takes over, within the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from chaos.scene import SCHEDULES, Scene

from qflow import crashpoints
from qflow.testing.processes import Process

FIRST: Final = {
    "worker.claimed": (0, 1),
    "handler.entered": (0, 1),
    "step.before": (0, 1),
    "step.after": (1, 1),
    "commit.before": (1, 1),
    "commit.after": (0, 1),
    "finish.before": (1, 1),
    "finish.after": (0, 0),
}
"""For the first time that a worker reaches each point: how many executions are repeated, and how many
runs it held."""

LATER: Final = {
    "step.after#3": (1, 1),
    "commit.before#2": (0, 1),  # the first try of a step failed: it is to be tried again anyway
    "commit.after#2": (0, 0),
    "commit.before#4": (1, 1),  # a step is done, and the run is to sleep
    "commit.after#4": (0, 0),
    "commit.before#5": (0, 1),  # awake again
    "commit.after#5": (0, 1),
}
"""The same for later times, in a run that also retries and sleeps."""


def test_every_point_is_tested() -> None:
    others = {"router.read", "router.routed", "step.opened", *SCHEDULER_POINTS}
    others |= {"router.given", "fork.before", "fork.after"}  # in test_open_crash_points
    assert set(crashpoints.POINTS) == FIRST.keys() | others


def die(scene: Scene, kind: str, point: str) -> Process:
    """Start a process that is to end at a point."""
    return scene.spawn(kind, QFLOW_CRASH_AT=point)


def await_death(scene: Scene, victim: Process) -> None:
    """Wait until it has died as by kill -9."""
    scene.until(lambda: victim.exit_code is not None, "the crash")
    assert victim.exit_code == -9, victim.tail()


@pytest.mark.parametrize("function", ["flow", "aflow"])
@pytest.mark.parametrize("point", FIRST)
def test_worker(scene: Scene, point: str, function: str) -> None:
    _crash_worker(scene, point, function, *FIRST[point])


@pytest.mark.parametrize("point", LATER)
def test_worker_later(scene: Scene, point: str) -> None:
    _crash_worker(scene, point, "mixed", *LATER[point])


@pytest.mark.parametrize("function", ["hold", "ahold"])
def test_a_slow_step_whose_job_was_just_opened(scene: Scene, function: str) -> None:
    _crash_worker(scene, "step.opened", function, 0, 1)


def _crash_worker(scene: Scene, point: str, function: str, repeats: int, deaths: int) -> None:
    _, _, first = scene.start_all("router", "scheduler", "worker")
    first.kill()  # it has published the functions
    shape = {"seconds": 0.2} if function.endswith("hold") else {"steps": 2}
    scene.send(f"load/{function}", **({"steps": 5} if function == "mixed" else shape))
    scene.until(lambda: scene.redis.call("LLEN", scene.keys.queue), "the run to be queued")
    await_death(scene, die(scene, "worker", point))
    scene.spawn("worker")
    scene.until_ended(1)
    (run,) = scene.runs(function)
    report = scene.report(run)
    assert report.check() == repeats, report
    assert len(report.told("died")) == deaths
    scene.check_no_leftovers()


@pytest.mark.parametrize("point", ["router.read", "router.routed"])
def test_router(scene: Scene, point: str) -> None:
    victim = die(scene, "router", point)
    scene.start_all("worker", "scheduler")
    scene.send("load/flow", 3)
    await_death(scene, victim)
    started = scene.redis.call("ZCARD", scene.keys.runs)
    assert started == 0 if point == "router.read" else started > 0
    scene.spawn("router")
    scene.until_ended(3)
    assert scene.check_load({"flow": 3}) == 0
    scene.check_no_leftovers()


def _let_a_timer_be_due(scene: Scene) -> None:
    scene.start_all("router", "worker")
    scene.send("load/mixed")
    scene.until(lambda: scene.redis.call("ZCARD", scene.keys.scheduled), "a retry to be set")


def _let_ticks_be_due(scene: Scene) -> None:
    scene.start("worker", SCHEDULES)
    (member,) = scene.redis.call("ZRANGE", scene.keys.cron, 0, -1)
    scene.redis.call("ZINCRBY", scene.keys.cron, -3 * 60_000, member)


def _let_a_worker_be_dead(scene: Scene) -> None:
    _, worker = scene.start_all("router", "worker")
    (event,) = scene.send("load/hold", seconds=0.2)
    scene.until_inside(scene.run_of("hold", event), worker)
    worker.kill()
    scene.spawn("worker")


def _mixed_is_done(scene: Scene) -> None:
    scene.until_ended(1)
    assert scene.check_load({"mixed": 1}) == 0


def _ticks_are_done(scene: Scene) -> None:
    scene.until_ended(3)
    scene.start("router")  # for the account at the end
    reports = list(scene.reports(scene.runs("ticking")))
    ticks = {report.output for report in reports}
    assert len(ticks) == len(reports), "a tick fired twice"
    assert {max(ticks) - n * 60_000 for n in range(3)} <= ticks, "a tick was lost"


def _held_is_done(scene: Scene) -> None:
    scene.until_ended(1)
    scene.check_load({"hold": 1})
    assert scene.counter("deaths") == 1


Act = Callable[[Scene], None]
SCHEDULER_POINTS: Final[dict[str, tuple[Act, Act]]] = {
    "scheduler.before_due": (_let_a_timer_be_due, _mixed_is_done),
    "scheduler.after_due": (_let_a_timer_be_due, _mixed_is_done),
    "scheduler.before_tick": (_let_ticks_be_due, _ticks_are_done),
    "scheduler.after_tick": (_let_ticks_be_due, _ticks_are_done),
    "rescuer.before": (_let_a_worker_be_dead, _held_is_done),
    "rescuer.after": (_let_a_worker_be_dead, _held_is_done),
}


@pytest.mark.parametrize("point", SCHEDULER_POINTS)
def test_scheduler(scene: Scene, point: str) -> None:
    before, after = SCHEDULER_POINTS[point]
    before(scene)
    await_death(scene, die(scene, "scheduler", point))
    scene.spawn("scheduler")
    after(scene)
    scene.check_no_leftovers()
