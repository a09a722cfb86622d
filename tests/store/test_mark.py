"""mark.lua: only the worker that holds a run notes which path it takes."""

from __future__ import annotations

from store.lab import FN, Lab

from qflow.store import run


def test_it_is_noted(lab: Lab) -> None:
    lab.publish(FN)
    held, _ = lab.stepping()
    assert lab(run.mark(held, "w1", "new")) == 1
    assert lab(run.mark(held, "w1", "new")) == 1
    assert lab.fields(held.run)["patch:new"] == "1"


def test_not_by_another_worker(lab: Lab) -> None:
    lab.publish(FN)
    held, _ = lab.stepping()
    before = lab.snapshot()
    assert lab(run.mark(held, "w2", "new")) == 0
    assert lab.snapshot() == before
