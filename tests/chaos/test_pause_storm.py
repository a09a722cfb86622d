"""Functions are paused and resumed while the processes are killed: nothing is lost or left behind."""

from __future__ import annotations

from collections import Counter

import pytest
from chaos.scene import Scene, timed
from chaos.storm import Pauses, Storm

import qflow
from qflow.store import pause

RUNS = 600
SPAN_S = 10.0
KINDS = ("worker", "worker", "router", "scheduler")
FUNCTIONS = ("flow", "mixed")


@pytest.mark.serial
def test_every_run_completes(scene: Scene) -> None:
    with timed("pause storm") as figures:
        storm = Storm(scene, KINDS, RUNS, SPAN_S)
        pauses = Pauses(scene, storm, FUNCTIONS)
        for due in storm:
            scene.app.send([qflow.Event(f"load/{FUNCTIONS[n % 2]}") for n in due])
            pauses.turn()
        pauses.end()
        scene.until_ended(RUNS, 30)
        counts = Counter(FUNCTIONS[n % 2] for n in range(RUNS))
        repeats = scene.check_load(counts)
        figures.update(seed=storm.seed, kills=dict(storm.kills), repeats=repeats)
        figures.update(pauses=pauses.count, held=pauses.held)
        assert storm.kills.total() >= 8
        assert pauses.count >= 3
        assert pauses.held > 0, "nothing was ever held back"
        assert pause.paused(scene.redis, scene.keys) == {}
        scene.check_quiet()
