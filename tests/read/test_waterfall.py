"""A run as bars over time, made from stories as the engine writes them."""

from __future__ import annotations

from dataclasses import replace

from read.scenes import Scene

from qflow.read.timeline import Attempt, StepView, timeline
from qflow.read.waterfall import Bar, Lane, Waterfall, waterfall

STEP = StepView("s", "step", "completed", (), None, None, None)


def fall(scene: Scene, run: str) -> Waterfall:
    return waterfall(timeline(scene.redis, scene.keys, run))


def bars(found: Waterfall, name: str) -> tuple[Bar, ...]:
    return next(lane.bars for lane in found.lanes if lane.name == name)


def test_a_step_runs_for_as_long_as_it_took(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge").store(1, took_ms=40).complete()
    found = fall(scene, run)
    (bar,) = bars(found, "charge")
    assert (bar.kind, bar.length, bar.open) == ("running", 40, False)
    assert dict(found.spent)["running"] == 40
    assert found.end - found.start == found.span


def test_a_retry_is_told_apart_from_running_and_from_the_queue(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge").again(60_000)
    told = timeline(scene.redis, scene.keys, run)
    (tried,) = told.steps[0].attempts
    assert tried.ended is not None
    at = tried.ended
    tries = (
        replace(tried, started=at - 10, due=at + 100),
        Attempt(1, "ok", started=at + 130, ended=at + 150),
    )
    later = replace(told, steps=(replace(told.steps[0], attempts=tries, due=None),))
    kinds = [(bar.kind, bar.length) for bar in bars(waterfall(later), "charge")]
    assert kinds == [("failed", 10), ("retry", 100), ("queued", 30), ("running", 20)]


def test_what_goes_on_is_open_until_now(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge")
    (bar,) = bars(fall(scene, run), "charge")
    assert (bar.kind, bar.open) == ("running", True)
    asleep = scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    (bar,) = bars(fall(scene, asleep), "nap")
    assert (bar.kind, bar.open) == ("sleeping", True)
    queued = scene.start("pay")
    (bar,) = bars(fall(scene, queued), "run")
    assert (bar.kind, bar.open) == ("queued", True)


def test_a_death_ran_since_its_worker_took_the_run(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge")
    scene.die()
    found = fall(scene, run)
    (bar,) = bars(found, "charge")
    assert bar.kind == "failed"
    assert bar.start >= found.start


def test_time_that_overlaps_counts_once_and_the_longest_is_named() -> None:
    from qflow.read.waterfall import Lane, _spent

    lanes = [
        Lane("a", "step", "completed", (Bar("running", 0, 100),)),
        Lane("b", "step", "completed", (Bar("running", 50, 150), Bar("queued", 150, 160))),
    ]
    assert _spent(lanes) == (("running", 150), ("queued", 10))


def test_the_critical_path_goes_back_from_the_end() -> None:
    def lane(name: str, start: int, end: int) -> Lane:
        return Lane(name, "step", "completed", (Bar("running", start, end),), STEP)

    lanes = (lane("a", 0, 40), lane("short", 40, 50), lane("long", 40, 90), lane("z", 90, 100))
    path = Waterfall(0, 100, lanes, ()).critical
    assert path == (("a", 0.4), ("long", 0.5), ("z", 0.1))
    assert Waterfall(0, 0, (), ()).critical == ()
