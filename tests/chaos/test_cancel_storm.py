"""Runs are cancelled by hand, by events and by deadlines while the processes are killed."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from chaos.scene import Scene, timed
from chaos.storm import Storm

import qflow

RUNS = 800
SPAN_S = 12.0
KINDS = ("worker", "worker", "router", "scheduler")
FUNCTIONS = ("flow", "aflow", "mixed", "dropped")


@pytest.mark.serial
def test_everything_ends_and_nothing_is_left(scene: Scene) -> None:
    by_hand: set[str] = set()
    with timed("cancel storm") as figures:
        storm = Storm(scene, KINDS, RUNS, SPAN_S)
        for due in storm:
            scene.app.send([event for n in due for event in _events(n)])
            if storm.chance.random() < 0.3:
                by_hand |= _cancel_some(scene, storm.chance)
        scene.until_ended(RUNS, 30)
        ended = _check(scene, by_hand)
        figures.update(seed=storm.seed, kills=dict(storm.kills), **ended)
        assert storm.kills["worker"] >= 4
        assert min(ended.values()) > 0, "each way to end was to be seen"
        scene.check_quiet()


def _events(n: int) -> list[qflow.Event[dict[str, object]]]:
    kind = FUNCTIONS[n % 4]
    sleep = 60 if n % 8 == 3 else 0.3
    run = qflow.Event(f"load/{kind}", data={"n": n, "sleep": sleep, "seconds": 0.004})
    drop = qflow.Event("load/drop", data={"n": n - 40})
    return [run, drop] if kind == "dropped" and n % 12 == 11 else [run]


def _cancel_some(scene: Scene, chance: random.Random) -> set[str]:
    """Cancel some unfinished runs; return those that this did."""
    keys = scene.keys
    status = chance.choice(("queued", "running", "waiting"))
    found = scene.redis.call("ZRANDMEMBER", keys.by_status(status), 2)
    return {run.decode() for run in found if scene.app.cancel(run.decode())}


def _check(scene: Scene, by_hand: set[str]) -> dict[str, int]:
    """Hold every run to how it ended; return how many ended in which way."""
    counts: Counter[str] = Counter()
    for function in FUNCTIONS:
        assert scene.runs(function, "failed") == []
        for report in scene.reports(scene.runs(function)):
            report.check()
            assert report.id not in by_hand
            counts["completed"] += 1
        for report in scene.reports(scene.runs(function, "cancelled")):
            (end,) = report.told("end")
            assert end["status"] == "cancelled"
            assert report.trace[-1] == end, "something of it went on"
            why = end["why"].partition(" ")[0]
            assert (report.id in by_hand) == (why == "by"), report.fields
            counts[{"by": "by_hand", "event": "by_event", "it": "by_deadline"}[why]] += 1
    assert sum(counts.values()) == RUNS, "each event started one run"
    assert scene.redis.call("KEYS", scene.keys.cancel("*")) == []
    assert scene.redis.call("EXISTS", scene.keys.deadlines) == 0
    return dict(counts)
