"""kill -9 of workers, router and scheduler, at random, under load."""

from __future__ import annotations

from collections import Counter

import pytest
from chaos.scene import Scene, timed
from chaos.storm import Storm

import qflow

RUNS = 2000
SPAN_S = 18.0
KINDS = ("worker", "worker", "worker", "router", "scheduler")
FUNCTIONS = ("flow", "aflow", "mixed")


@pytest.mark.serial
def test_nothing_is_lost_or_committed_twice(scene: Scene) -> None:
    with timed("kill loop") as figures:
        storm = Storm(scene, KINDS, RUNS, SPAN_S)
        for due in storm:
            scene.app.send([_event(n) for n in due])
        scene.until_ended(RUNS, 20)
        counts = Counter(FUNCTIONS[n % 3] for n in range(RUNS))
        repeats = scene.check_load(counts)
        deaths, kills = scene.counter("deaths"), storm.kills
        figures.update(seed=storm.seed, kills=dict(kills), deaths=deaths, repeats=repeats)
        assert kills["worker"] >= 8 and kills["router"] >= 2 and kills["scheduler"] >= 2
        assert deaths > 0, "no worker was killed while it held a run"
        assert repeats <= deaths, "a step whose worker lived was executed again"
        scene.check_quiet()


def _event(n: int) -> qflow.Event[dict[str, object]]:
    return qflow.Event(f"load/{FUNCTIONS[n % 3]}", data={"seconds": 0.001 + n % 3 / 1000})
