"""The steps of a function, from the traces of its runs."""

from __future__ import annotations

from read.scenes import Scene

from qflow.read.steps import step_paces


def test_steps_are_told_with_their_repetitions_tries_and_waits(scene: Scene) -> None:
    first = scene.start("pay")
    hand = scene.claim().open("charge").store(1, took_ms=40).open("charge:1").store(2, took_ms=60)
    hand.sleep("nap", 60_000)
    scene.due()
    scene.claim().store(None, step="nap").complete()
    second = scene.start("pay")
    scene.claim().open("charge").again(10)
    charge, nap = step_paces(scene.redis, scene.keys, [first, second])
    assert (charge.id, charge.runs, charge.lengths[-2:], charge.failed) == (
        "charge",
        2,
        (40, 60),
        1,
    )
    assert (charge.is_wait, nap.is_wait, nap.runs, len(nap.lengths)) == (False, True, 1, 1)
    assert charge.total == sum(charge.lengths)
    assert (charge.p50, charge.p95) == (40, 60)


def test_without_runs_there_are_none(scene: Scene) -> None:
    assert step_paces(scene.redis, scene.keys, []) == []
