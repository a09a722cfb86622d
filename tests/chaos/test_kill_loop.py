"""kill -9 of workers, router and scheduler, at random, under load."""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest
from chaos.scene import Scene, timed

import qflow

RUNS = 2000
SPAN_S = 18.0
KINDS = ("worker", "worker", "worker", "router", "scheduler")
FUNCTIONS = ("flow", "aflow", "mixed")


@pytest.mark.serial
def test_nothing_is_lost_or_committed_twice(scene: Scene) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"\nCHAOS_SEED={seed}")
    chance = random.Random(seed)
    with timed("kill loop") as figures:
        processes = scene.start_all(*KINDS)
        kills: Counter[str] = Counter()
        sent, began, next_kill = 0, time.monotonic(), 0.5
        while sent < RUNS:
            elapsed = time.monotonic() - began
            due = min(RUNS, int(RUNS * elapsed / SPAN_S) + 1)
            if due > sent:
                scene.app.send([_event(n) for n in range(sent, due)])
                sent = due
            if elapsed >= next_kill:
                next_kill = elapsed + chance.uniform(0.3, 0.8)
                place = chance.randrange(len(processes))
                victim = processes[place]
                victim.kill()
                assert victim.exit_code == -9
                kills[KINDS[place]] += 1
                processes[place] = scene.spawn(KINDS[place])
            time.sleep(0.01)  # paces the load, so that it spans the kills
        scene.until_ended(RUNS, 20)
        counts = Counter(FUNCTIONS[n % 3] for n in range(RUNS))
        repeats = scene.check_load(counts)
        deaths = scene.counter("deaths")
        figures.update(seed=seed, kills=dict(kills), deaths=deaths, repeats=repeats)
        assert kills["worker"] >= 8 and kills["router"] >= 2 and kills["scheduler"] >= 2
        assert deaths > 0, "no worker was killed while it held a run"
        assert repeats <= deaths, "a step whose worker lived was executed again"
        scene.check_quiet()


def _event(n: int) -> qflow.Event[dict[str, object]]:
    return qflow.Event(f"load/{FUNCTIONS[n % 3]}", data={"seconds": 0.001 + n % 3 / 1000})
