"""Runs with open steps are cancelled, held and let go on, while the processes are killed."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from chaos.scene import Scene, timed
from chaos.storm import Pauses, Storm
from chaos.test_open_steps import check

import qflow

EACH = 80
FUNCTIONS = ("fan", "branches", "order", "parent")
CANCELLED = (*FUNCTIONS, "child")
KINDS = ("worker", "worker", "worker", "router", "scheduler")
SPAN_S = 12.0


@pytest.mark.serial
@pytest.mark.timeout(240)
def test_everything_ends_and_nothing_is_left(scene: Scene) -> None:
    total = EACH * len(FUNCTIONS)
    by_hand: set[str] = set()
    with timed("control of open steps") as figures:
        storm = Storm(scene, KINDS, total, SPAN_S)
        pauses = Pauses(scene, storm, CANCELLED)
        for due in storm:
            scene.app.send([_event(n) for n in due])
            if storm.chance.random() < 0.2:
                by_hand |= _cancel_one(scene, storm.chance)
            pauses.turn()
        pauses.end()
        scene.until_ended(total, 90)
        ended = _check(scene, by_hand)
        figures.update(seed=storm.seed, kills=dict(storm.kills), **ended)
        figures.update(pauses=pauses.count, held=pauses.held)
        assert storm.kills.total() >= 6
        assert min(pauses.count, pauses.held, ended["cancelled"], ended["completed"]) > 0
        scene.check_quiet()


def _event(n: int) -> qflow.Event[dict[str, object]]:
    data = {"seconds": 0.002 + n % 3 / 500, "order": n}
    return qflow.Event(f"load/{FUNCTIONS[n % len(FUNCTIONS)]}", data=data)


def _cancel_one(scene: Scene, chance: random.Random) -> set[str]:
    """Cancel an unfinished run, if it finds one; return those that this did."""
    status = chance.choice(("queued", "running", "waiting"))
    key = scene.keys.by_function(chance.choice(CANCELLED), status)
    found = scene.redis.call("ZRANDMEMBER", key, 1)
    return {run.decode() for run in found if scene.app.cancel(run.decode())}


def _check(scene: Scene, by_hand: set[str]) -> Counter[str]:
    """Hold every run to how it ended; return how many ended in which way."""
    counts: Counter[str] = Counter()
    for function in CANCELLED:
        for report in scene.reports(scene.runs(function)):
            check(report)
            assert report.id not in by_hand
            counts["completed"] += 1
        for report in scene.reports(scene.runs(function, "cancelled")):
            assert report.id in by_hand
            (end,) = report.told("end")
            assert report.trace[-1] == end, "something of it went on"
            counts["cancelled"] += 1
        for report in scene.reports(scene.runs(function, "failed")):
            assert function == "parent", report.fields
            assert "RunCancelled" in report.fields["error"], "only where a child was cancelled"
            counts["failed"] += 1
    return counts
