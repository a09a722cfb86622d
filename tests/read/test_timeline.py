"""A run's story, as made from its trace, its steps and its lane."""

from __future__ import annotations

import json

import pytest
from read.scenes import ERROR, JOB, Scene, waiting

from qflow.read.nearest import NotFound
from qflow.read.timeline import Attempt, StepView, Timeline, as_dict, timeline


def tell(scene: Scene, run: str) -> Timeline:
    told = timeline(scene.redis, scene.keys, run)
    json.dumps(as_dict(told))
    return told


def step(told: Timeline, name: str) -> StepView:
    return next(view for view in told.steps if view.id == name)


def test_a_queued_run_has_no_steps(scene: Scene) -> None:
    run = scene.start("pay")
    told = tell(scene, run)
    assert (told.row.status, told.steps, told.claims, told.worker) == ("queued", (), (), "")
    assert told.event["data"] == {"n": 1}


def test_the_step_at_hand_is_running(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge")
    told = tell(scene, run)
    (view,) = told.steps
    assert (view.id, view.status, told.worker) == ("charge", "running", "w1")
    assert [attempt.outcome for attempt in view.attempts] == ["running"]
    assert view.attempts[0].started == told.claims[0].at


def test_finished_steps_keep_order_result_and_times(scene: Scene) -> None:
    run = scene.start("pay")
    hand = scene.claim().open("b").store({"x": 1}, took_ms=7).open("a").store([2])
    hand.complete("done")
    told = tell(scene, run)
    assert [(view.id, view.status, view.output) for view in told.steps] == [
        ("b", "completed", {"x": 1}),
        ("a", "completed", [2]),
    ]
    (attempt,) = step(told, "b").attempts
    assert attempt.ended is not None
    assert attempt.started == attempt.ended - 7
    assert (told.row.status, told.output, told.error) == ("completed", "done", None)


def test_a_retry_waits_with_its_error_and_due_time(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge").again(60_000)
    told = tell(scene, run)
    (view,) = told.steps
    assert (view.status, told.row.status) == ("waiting", "waiting")
    (attempt,) = view.attempts
    assert (attempt.number, attempt.outcome, attempt.error) == (0, "retry", ERROR)
    assert view.due == told.due == attempt.due
    assert told.due is not None
    assert told.due > told.now


def test_a_step_that_failed_for_good_tells_why(scene: Scene) -> None:
    run = scene.start("pay")
    hand = scene.claim().open("charge").again(10)
    scene.due()
    hand = scene.claim()
    assert hand.lane.attempt == 1
    hand.store_error().fail()
    told = tell(scene, run)
    (view,) = told.steps
    assert (view.status, view.error, told.error) == ("failed", ERROR, ERROR)
    assert [(a.number, a.outcome) for a in view.attempts] == [(0, "retry"), (1, "failed")]
    assert [claim.worker for claim in told.claims] == ["w1", "w1"]


def test_a_sleep_shows_its_due_time_and_then_its_length(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    told = tell(scene, run)
    assert [(s.kind, s.status, s.attempts) for s in told.steps] == [("sleep", "sleeping", ())]
    assert told.steps[0].due == told.due
    scene.due()
    scene.claim().store(None, step="nap").complete()
    told = tell(scene, run)
    (view,) = told.steps
    assert (view.kind, view.status) == ("sleep", "completed")
    assert [a.outcome for a in view.attempts] == ["ok"]


def test_a_death_is_an_attempt(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge")
    scene.die()
    told = tell(scene, run)
    (view,) = told.steps
    assert view.status == "queued"
    assert [(a.number, a.outcome) for a in view.attempts] == [(0, "died")]
    scene.enlist("w2")
    scene.claim("w2").store(1).complete()
    assert [(a.number, a.outcome) for a in step(tell(scene, run), "charge").attempts] == [
        (0, "died"),
        (1, "ok"),
    ]


def test_a_death_on_entering_belongs_to_the_handler(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim()
    scene.die()
    told = tell(scene, run)
    assert told.steps == ()
    assert [(a.number, a.outcome) for a in told.handler] == [(0, "died")]


def test_a_handler_that_is_tried_again_is_told_apart_from_its_steps(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().again(60_000)
    told = tell(scene, run)
    assert told.steps == ()
    assert isinstance(told.handler[0], Attempt)
    assert told.handler[0].outcome == "retry"


@pytest.mark.leaves_keys("the record of a run is deleted")
def test_a_run_that_expired_is_gone(scene: Scene) -> None:
    run = scene.start("pay")
    scene.redis.call("DEL", scene.keys.run(run))
    with pytest.raises(NotFound, match="expired"):
        timeline(scene.redis, scene.keys, run)


def test_open_steps(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().fork(
        charge=JOB,
        ship=JOB,
        paid=waiting("event", "paid", "order/paid", digests=["d"], delay_ms=90_000),
        call=waiting(
            "child", "call", "ship", fn="ship", child="0" * 26, event='{"name":"x"}', refused="{}"
        ),
        nap={**waiting("sleep", "nap", ""), "delay_ms": 5, "note": '{"t":"sleep","id":"nap"}'},
    )
    scene.claim()
    told = tell(scene, run)
    assert told.row.status == "waiting"
    assert {view.id: (view.kind, view.status) for view in told.steps} == {
        "charge": ("step", "running"),
        "ship": ("step", "queued"),
        "paid": ("event", "waiting"),
        "call": ("run", "waiting"),
        "nap": ("sleep", "sleeping"),
    }
    paid = step(told, "paid")
    assert paid.wants == "order/paid"
    assert paid.due is not None
    assert tell(scene, "0" * 26).parent == run
    scene.due()
    assert step(tell(scene, run), "paid").status == "completed"
