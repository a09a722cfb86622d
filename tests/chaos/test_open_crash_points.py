"""A worker or router dies at the boundaries of open steps; another one takes over."""

from __future__ import annotations

import pytest
from chaos.scene import Scene
from chaos.test_crash_points import await_death, die
from chaos.test_open_steps import check

POINTS = (
    "fork.before",
    "fork.after",
    "fork.after#2",
    "step.after",
    "commit.before#2",
    "commit.after#3",
)
FUNCTIONS = {"fan": (), "branches": (), "order": ("bill",), "parent": ("child",) * 3}


CASES = [
    (p, f) for p in POINTS for f in FUNCTIONS if (p, f) != ("fork.after#2", "order")
]  # forks once


@pytest.mark.parametrize(("point", "function"), CASES)
def test_worker(scene: Scene, point: str, function: str) -> None:
    _, _, first = scene.start_all("router", "scheduler", "worker")
    first.kill()  # it has published the functions
    scene.send(f"load/{function}", order=1)
    scene.until(lambda: scene.redis.call("LLEN", scene.keys.queue), "the run to be queued")
    await_death(scene, die(scene, "worker", point))
    scene.spawn("worker")
    _check(scene, function)


def test_router_between_giving_an_event_and_its_acknowledgement(scene: Scene) -> None:
    _, _, router = scene.start_all("worker", "scheduler", "router")
    router.kill()
    scene.send("load/order", order=1)
    await_death(scene, die(scene, "router", "router.given#3"))
    scene.spawn("router")
    _check(scene, "order")


def _check(scene: Scene, function: str) -> None:
    others = FUNCTIONS[function]
    scene.until_ended(1 + len(others))
    for name in {function, *others}:
        runs = scene.runs(name)
        assert len(runs) == (1 if name == function else len(others))
        for report in scene.reports(runs):
            check(report)
    scene.check_no_leftovers()
