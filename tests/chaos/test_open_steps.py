"""kill -9 of workers, router and scheduler while runs wait, invoke, send and fan out."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from chaos.scene import Report, Scene, timed
from chaos.storm import Storm

import qflow

EACH = 80
FUNCTIONS = ("fan", "branches", "order", "parent")
KINDS = ("worker", "worker", "worker", "router", "scheduler")
SPAN_S = 12.0


@pytest.mark.serial
@pytest.mark.timeout(240)
def test_nothing_is_lost_or_done_twice(scene: Scene) -> None:
    total = EACH * len(FUNCTIONS)
    ends = total + EACH + 3 * EACH  # the bills of orders and the children of parents
    with timed("open steps") as figures:
        storm = Storm(scene, KINDS, total, SPAN_S)
        for due in storm:
            scene.app.send([_event(n) for n in due])
        scene.until_ended(ends, 90)
        for function, count in {
            **dict.fromkeys(FUNCTIONS, EACH),
            "bill": EACH,
            "child": 3 * EACH,
        }.items():
            runs = scene.runs(function)
            failed = list(scene.reports(scene.runs(function, "failed")))[:2]
            assert len(runs) == count, (function, len(runs), count, failed)
            for report in scene.reports(runs):
                check(report)
        deaths = scene.counter("deaths")
        figures.update(seed=storm.seed, kills=dict(storm.kills), deaths=deaths)
        assert storm.kills["worker"] >= 3
        assert deaths > 0, "no worker was killed while it held a run or a step"
        scene.check_quiet()


def check(report: Report) -> None:
    """Hold a run to its contract: each step committed once, and what followed saw the committed values."""
    committed = Counter(entry["id"] for entry in report.told("step"))
    assert committed == dict.fromkeys(report.steps, 1), (report.id, committed)
    assert len(report.told("end")) == 1, report.trace
    values = {step: json.loads(text).get("ok") for step, text in report.steps.items()}
    marks = {mark for _, mark, _, _ in report.effects}
    for step, _, seen, _ in report.effects:
        if step.startswith("t"):
            assert seen == [values[f"s{step[1:]}"]], (report.id, step, seen)
        if step == "join":
            assert seen == report.output[:-1], (report.id, seen, report.output)
    own = {value for step, value in values.items() if step[0] in "stj"}
    assert own <= marks, (report.id, values)


def _event(n: int) -> qflow.Event[dict[str, object]]:
    function = FUNCTIONS[n % len(FUNCTIONS)]
    data = {"seconds": 0.001 + n % 3 / 1000, "order": n}
    return qflow.Event(f"load/{function}", data=data)
