"""Two runs side by side: each step's verdict, and where they first part."""

from __future__ import annotations

import pytest
from read.scenes import Hand, Scene

from qflow.read.compare import Comparison, compare
from qflow.read.timeline import timeline


def begun(scene: Scene) -> tuple[str, Hand]:
    run = scene.start("pay")
    return run, scene.claim()


def both(scene: Scene, left: str, right: str) -> Comparison:
    one, other = (timeline(scene.redis, scene.keys, run) for run in (left, right))
    return compare(one, other)


def test_the_first_divergence_is_marked(scene: Scene) -> None:
    left, hand = begun(scene)
    hand.open("a").store(1).open("b").store({"n": 1}).open("c").store(3).complete("x")
    right, hand = begun(scene)
    hand.open("a").store(1).open("b").store({"n": 2}).open("extra").store(0).open("c").store(3)
    hand.complete("x")
    found = both(scene, left, right)
    assert [(pair.id, pair.verdict) for pair in found.pairs] == [
        ("a", "same"),
        ("b", "output"),
        ("extra", "only right"),
        ("c", "same"),
    ]
    assert (found.first, found.data, found.outcome) == ("b", True, True)
    assert found.as_dict()["steps"][2]["left"] is None


@pytest.mark.parametrize("how", ["error", "status"])
def test_a_failure_is_a_divergence(scene: Scene, how: str) -> None:
    left, hand = begun(scene)
    hand.open("a").store_error().fail()
    right, hand = begun(scene)
    opened = hand.open("a")
    if how == "status":
        opened.store(1).complete()
    else:
        opened.store_error().fail()
    found = both(scene, left, right)
    assert found.first == ("a" if how == "status" else "")
    assert found.outcome is (how == "error")


def test_nothing_differs(scene: Scene) -> None:
    left, hand = begun(scene)
    hand.complete()
    assert both(scene, left, left).as_dict()["first_divergence"] is None
