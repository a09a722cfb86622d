"""kill -9 of workers, routers and schedulers under limits: never exceeded, and nothing leaks."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from chaos.scene import Scene, timed
from chaos.storm import Storm

import qflow

EVENTS = 1000
SPAN_S = 12.0
KINDS = ("worker", "worker", "worker", "router", "router", "scheduler")
FUNCTIONS = (
    "limited", "limited", "spread", "spread", "whole", "gathered", "calmed", "single", "paced", "rated",
)  # fmt: skip
TENANTS = ("noisy", "noisy", "noisy", "a", "b", "c")


@pytest.mark.serial
@pytest.mark.timeout(300)
def test_limits_hold_and_nothing_leaks(scene: Scene) -> None:
    with timed("flow control") as figures:
        storm = Storm(scene, KINDS, EVENTS, SPAN_S)
        sent: Counter[str] = Counter()
        for due in storm:
            for n in due:
                function = FUNCTIONS[n % len(FUNCTIONS)]
                data = {"n": n, "tenant": storm.chance.choice(TENANTS)}
                scene.app.send(qflow.Event(f"load/{function}", data=data, id=f"f{n}"))
                sent[function] += 1
        scene.until(
            lambda: (
                scene.redis.call("XPENDING", scene.keys.events, "router")[0] == 0
                and scene.redis.call("XINFO", "GROUPS", scene.keys.events)[0][7]
                == scene.redis.call("XREVRANGE", scene.keys.events, "+", "-", "COUNT", 1)[0][0]
            ),
            "every event to be routed",
        )
        scene.until_ended(1, 120)
        figures.update(seed=storm.seed, kills=dict(storm.kills), deaths=scene.counter("deaths"))
        for function in ("limited", "spread", "whole", "paced"):
            assert len(scene.runs(function)) == sent[function]
        for function in ("single", "rated"):
            ended = len(scene.runs(function)), len(scene.runs(function, "skipped"))
            assert min(ended) > 0 and sum(ended) == sent[function]
        assert gathered(scene) == [n for n in range(EVENTS) if FUNCTIONS[n % 10] == "gathered"]
        check_calmed(scene, sent["calmed"])
        check_steps(scene)
        check_starts(scene)
        assert storm.kills["worker"] >= 4
        scene.check_quiet()
        kinds = ("slots:*", "backlog:*", "ring:*", "rings", "pending:*", "single:*", "behind")
        names = [name for kind in kinds for name in scene.redis.call("KEYS", f"chaos:{kind}")]
        assert names == []


def check_steps(scene: Scene) -> None:
    """No limit was exceeded, as the steps counted it themselves."""
    assert 2 < most(scene, "all") <= 5
    assert 2 < most(scene, "spread") <= 4
    assert max(most(scene, who) for who in TENANTS) == 2
    assert max(most(scene, f"spread-{who}") for who in TENANTS) == 2
    assert {most(scene, f"single-{who}") for who in TENANTS} == {1}


def check_starts(scene: Scene) -> None:
    """Runs started as a throttle and a rate limit allow, by the time at which Redis let them."""
    let: dict[tuple[str, str], list[int]] = {}
    for function in ("paced", "rated"):
        for report in scene.reports(scene.runs(function)):
            if report.told("died"):
                continue  # it was queued once more
            tenant = json.loads(report.fields["event"])["data"]["tenant"]
            let.setdefault((function, tenant), []).append(int(report.fields["queued"]))
    for (function, _), times in let.items():
        times.sort()
        most = 3 if function == "rated" else 6  # one each 200 ms, at times up to 100 ms late
        for first, later in zip(times, times[most:], strict=False):
            assert later - first >= 1000, (function, times)


def check_calmed(scene: Scene, sent: int) -> None:
    """Every event was merged into one run, which had the newest that it gathered."""
    reports = list(scene.reports(scene.runs("calmed")))
    assert sum(1 + int(report.fields.get("merged", 0)) for report in reports) == sent
    assert len({report.output for report in reports}) == len(reports) < sent


def most(scene: Scene, who: str) -> int:
    """Return how many steps were ever inside at once, as they counted it themselves."""
    return int(float(scene.effects.call("ZSCORE", f"most:{who}", "most")))


def gathered(scene: Scene) -> list[int]:
    """Return the numbers of all events that were in a batch, each as often as it was."""
    outputs = [scene.report(run).output for run in scene.runs("gathered")]
    assert json.dumps(outputs)
    return sorted(n for output in outputs for n in output)
