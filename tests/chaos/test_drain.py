"""SIGTERM under load: a worker leaves within its grace, and no attempt is used up."""

from __future__ import annotations

import time

from chaos.scene import Scene, timed


def _check_no_attempt_was_used(scene: Scene, *functions: str) -> None:
    for function in functions:
        for report in scene.reports(scene.runs(function)):
            assert {entry["a"] for entry in report.told("step")} == {0}, report
            assert not report.told("died") and not report.told("retry")
    assert scene.counter("deaths") == scene.counter("fenced") == 0


def test_workers_leave_under_load(scene: Scene) -> None:
    with timed("drain") as figures:
        leaving = scene.start_all("router", "scheduler", "worker", "worker")[2:]
        load = {"flow": 400, "aflow": 400}
        for function, count in load.items():
            scene.send(f"load/{function}", count, seconds=0.01)
        for worker in leaving:
            goal = len(scene.runs("flow")) + 40
            scene.until(lambda goal=goal: len(scene.runs("flow")) >= goal, "load")
            fresh = scene.start("worker")
            name, began = scene.name_of(worker), time.monotonic()
            assert scene.redis.call("SCARD", scene.keys.lanes(name)) > 0, "it had nothing to do"
            assert worker.term() == 0
            figures[f"left_{worker.pid}_s"] = round(time.monotonic() - began, 2)
            assert time.monotonic() - began < 10
            assert scene.redis.call("EXISTS", scene.keys.lanes(name)) == 0
        scene.until_ended(800)
        assert fresh.exit_code is None
        assert scene.check_load(load) == 0
        _check_no_attempt_was_used(scene, *load)
        scene.check_quiet()


def test_grace_is_shorter_than_a_step(scene: Scene) -> None:
    with timed("short grace"):
        scene.start_all("router", "scheduler")
        worker = scene.start("worker", QFLOW_GRACE="300ms")
        events = scene.send("load/hold", seconds=2) + scene.send("load/ahold", seconds=2)
        runs = [scene.run_of(event.split("-")[1], event) for event in events]
        for run in runs:
            scene.until_inside(run, worker)
        began = time.monotonic()
        assert worker.term() == 0
        assert time.monotonic() - began < 2, "it waited for its steps"
        other = scene.start("worker")
        scene.until_ended(2)
        for report in scene.reports(runs):
            assert report.check() == 0  # the first execution ended with its process
            assert {pid for *_, pid in report.effects} == {other.pid}
        _check_no_attempt_was_used(scene, "hold", "ahold")
        scene.check_quiet()
