"""The process's own counts."""

from __future__ import annotations

import sys
import threading

import pytest

from qflow import metrics, telemetry
from qflow.metrics import BOUNDS, METRICS, Histogram, Tally

STEP = {"function": "f", "run": "r", "step": "s", "attempt": 0, "outcome": "ok", "seconds": 0.002}


def test_counts_what_telemetry_tells() -> None:
    tally = Tally()
    tally.sink("event.received", {"count": 3})
    tally.sink("run.created", {"function": "f", "count": 2})
    tally.sink("cron.fired", {"function": "f", "tick": 1})
    tally.sink("run.ended", {"function": "f", "run": "r", "status": "failed", "error": "no"})
    tally.sink("step.ended", STEP)
    tally.sink("step.ended", {**STEP, "outcome": "retry"})
    tally.sink("worker.started", {"worker": "w", "functions": 1, "slots": 7})
    values = tally.values()
    assert values["qflow_events_received_total"] == {(): 3}
    assert values["qflow_runs_created_total"] == {("f",): 3}
    assert values["qflow_runs_ended_total"] == {
        ("f", "completed"): 0,
        ("f", "failed"): 1,
        ("f", "cancelled"): 0,
    }
    attempts = {("f", "ok"): 1, ("f", "retry"): 1, ("f", "failed"): 0}
    assert values["qflow_step_attempts_total"] == attempts
    assert values["qflow_worker_slots"] == {(): 7}


def test_knows_every_event_that_it_counts() -> None:
    assert Tally()._on.keys() <= telemetry.EVENTS.keys()


def test_ignores_other_events() -> None:
    Tally().sink("redis.back", {})


def test_waits_are_histograms_and_a_later_claim_has_no_start() -> None:
    tally = Tally()
    claim = {"function": "f", "run": "r", "queue_wait_s": 0.3, "event_to_start_s": 2.0}
    tally.sink("run.claimed", claim)
    tally.sink("run.claimed", {**claim, "event_to_start_s": None})
    values = tally.values()
    assert sum(values["qflow_queue_wait_seconds"][("f",)].counts) == 2
    assert sum(values["qflow_event_to_start_seconds"][("f",)].counts) == 1
    assert values["qflow_queue_wait_seconds"][("f",)].sum == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (BOUNDS[0], 0), (BOUNDS[3], 3), (BOUNDS[3] + 1e-9, 4), (1e9, len(BOUNDS))],
)
def test_a_value_on_a_bound_belongs_to_the_bucket_below(seconds: float, bucket: int) -> None:
    histogram = Histogram()
    histogram.add(seconds)
    tally = Tally()
    tally.sink("step.ended", {**STEP, "seconds": seconds})
    own = tally.values()["qflow_step_duration_seconds"][("f",)]
    assert histogram.counts.index(1) == own.counts.index(1) == bucket


def test_the_lead_comes_and_goes() -> None:
    tally = Tally()
    assert tally.values()["qflow_leader"] == {(): 0}
    tally.sink("leader.gained", {"name": "s", "token": 1})
    assert tally.values()["qflow_leader"] == {(): 1}
    tally.sink("leader.lost", {"name": "s"})
    assert tally.values()["qflow_leader"] == {(): 0}


def test_the_age_of_a_loop_grows_until_it_ticks() -> None:
    now = [100.0]
    tally = Tally(lambda: now[0])
    tally.sink("loop.ticked", {"loop": "router"})
    now[0] = 107.5
    assert tally.values()["qflow_loop_age_seconds"] == {("router",): 7.5}
    tally.sink("loop.ticked", {"loop": "router"})
    assert tally.values()["qflow_loop_age_seconds"] == {("router",): 0.0}


def test_labels_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_FUNCTIONS", 3)
    tally = Tally()
    for i in range(10):
        tally.sink("step.ended", {**STEP, "function": f"f{i}"})
    counts = tally.values()["qflow_step_attempts_total"]
    ok = {function: number for (function, outcome), number in counts.items() if outcome == "ok"}
    assert ok == {"f0": 1, "f1": 1, "f2": 1, "other": 7}


def test_no_count_is_lost_between_threads() -> None:
    tally = Tally()

    def work() -> None:
        for _ in range(20_000):
            tally.sink("step.ended", STEP)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.values()["qflow_step_attempts_total"][("f", "ok")] == 80_000


def test_a_finished_step_costs_little() -> None:
    """Counted in calls, which no busy machine changes: it is on the hot path."""
    tally = Tally()
    tally.sink("step.ended", STEP)
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        tally.sink("step.ended", STEP)
    finally:
        sys.setprofile(None)
    assert calls <= 8, calls


def test_each_metric_is_named_as_prometheus_asks() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.kind != "histogram" or metric.name.endswith("_seconds"), metric.name
        assert metric.help.endswith(".")
