"""Functions are paused and resumed while the processes are killed: nothing is lost or left behind."""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest
from chaos.scene import Scene, timed

import qflow
from qflow.store import pause, script

RUNS = 600
SPAN_S = 10.0
KINDS = ("worker", "worker", "router", "scheduler")
FUNCTIONS = ("flow", "mixed")


@pytest.mark.serial
def test_every_run_completes(scene: Scene) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"\nCHAOS_SEED={seed}")
    chance = random.Random(seed)
    with timed("pause storm") as figures:
        processes = scene.start_all(*KINDS)
        kills, pauses, queued = 0, 0, 0
        sent, began, next_kill, next_turn = 0, time.monotonic(), 0.5, 0.3
        while sent < RUNS:
            elapsed = time.monotonic() - began
            due = min(RUNS, int(RUNS * elapsed / SPAN_S) + 1)
            if due > sent:
                scene.app.send([qflow.Event(f"load/{FUNCTIONS[n % 2]}") for n in range(sent, due)])
                sent = due
            if elapsed >= next_turn:
                next_turn = elapsed + chance.uniform(0.1, 0.6)
                function = chance.choice(FUNCTIONS)
                if chance.random() < 0.5:
                    pauses += script.run(scene.redis, pause.pause(scene.keys, function, "hold"))
                else:
                    queued += pause.unpause(scene.redis, scene.keys, function).queued
            if elapsed >= next_kill:
                next_kill = elapsed + chance.uniform(0.4, 0.9)
                place = chance.randrange(len(processes))
                processes[place].kill()
                kills += 1
                processes[place] = scene.spawn(KINDS[place])
            time.sleep(0.01)  # paces the load, so that it spans the kills
        for function in FUNCTIONS:
            queued += pause.unpause(scene.redis, scene.keys, function).queued
        scene.until_ended(RUNS, 30)
        counts = Counter(FUNCTIONS[n % 2] for n in range(RUNS))
        repeats = scene.check_load(counts)
        figures.update(seed=seed, kills=kills, pauses=pauses, held=queued, repeats=repeats)
        assert kills >= 8
        assert pauses >= 3
        assert queued > 0, "nothing was ever held back"
        assert pause.paused(scene.redis, scene.keys) == {}
        scene.check_quiet()
