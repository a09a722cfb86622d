"""kill -9 of workers, routers and schedulers under limits: never exceeded, and nothing leaks."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter

import pytest
from chaos.scene import Scene, timed

import qflow

EVENTS = 900
SPAN_S = 12.0
KINDS = ("worker", "worker", "worker", "router", "router", "scheduler")
FUNCTIONS = ("limited", "limited", "spread", "spread", "whole", "gathered", "calmed", "single")
TENANTS = ("noisy", "noisy", "noisy", "a", "b", "c")


@pytest.mark.serial
@pytest.mark.timeout(300)
def test_limits_hold_and_nothing_leaks(scene: Scene) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"\nCHAOS_SEED={seed}")
    chance = random.Random(seed)
    with timed("flow control") as figures:
        processes = scene.start_all(*KINDS)
        kills: Counter[str] = Counter()
        sent: Counter[str] = Counter()
        number, began, next_kill = 0, time.monotonic(), 0.5
        while number < EVENTS:
            elapsed = time.monotonic() - began
            due = min(EVENTS, int(EVENTS * elapsed / SPAN_S) + 1)
            for n in range(number, due):
                function = FUNCTIONS[n % len(FUNCTIONS)]
                data = {"n": n, "tenant": chance.choice(TENANTS)}
                scene.app.send(qflow.Event(f"load/{function}", data=data, id=f"f{n}"))
                sent[function] += 1
            number = due
            if elapsed >= next_kill:
                next_kill = elapsed + chance.uniform(0.3, 0.9)
                place = chance.randrange(len(processes))
                processes[place].kill()
                kills[KINDS[place]] += 1
                processes[place] = scene.spawn(KINDS[place])
            time.sleep(0.01)  # paces the load, so that it spans the kills
        scene.until(
            lambda: (
                scene.redis.call("XPENDING", scene.keys.events, "router")[0] == 0
                and scene.redis.call("XINFO", "GROUPS", scene.keys.events)[0][7]
                == scene.redis.call("XREVRANGE", scene.keys.events, "+", "-", "COUNT", 1)[0][0]
            ),
            "every event to be routed",
        )
        scene.until_ended(1, 120)
        figures.update(seed=seed, kills=dict(kills), deaths=scene.counter("deaths"))
        for function in ("limited", "spread", "whole"):
            assert len(scene.runs(function)) == sent[function]
        assert gathered(scene) == [n for n in range(EVENTS) if FUNCTIONS[n % 8] == "gathered"]
        assert len(scene.runs("single")) + len(scene.runs("single", "skipped")) == sent["single"]
        assert 2 < most(scene, "all") <= 5
        assert 2 < most(scene, "spread") <= 4
        assert max(most(scene, who) for who in TENANTS) == 2
        assert max(most(scene, f"spread-{who}") for who in TENANTS) == 2
        assert kills["worker"] >= 4
        scene.check_quiet()
        kinds = ("slots:*", "backlog:*", "ring:*", "rings", "pending:*", "single:*", "behind")
        names = [name for kind in kinds for name in scene.redis.call("KEYS", f"chaos:{kind}")]
        assert names == []


def most(scene: Scene, who: str) -> int:
    """Return how many steps were ever inside at once, as they counted it themselves."""
    return int(float(scene.effects.call("ZSCORE", f"most:{who}", "most")))


def gathered(scene: Scene) -> list[int]:
    """Return the numbers of all events that were in a batch, each as often as it was."""
    outputs = [scene.report(run).output for run in scene.runs("gathered")]
    assert json.dumps(outputs)
    return sorted(n for output in outputs for n in output)
