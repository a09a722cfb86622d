"""invoke.lua: a run of one function, without an event on the stream."""

from __future__ import annotations

from store.lab import FN, KEEP, Lab

from qflow.store.invoke import invoke
from qflow.store.script import Call


def invoking(lab: Lab, function: str = FN, event: str = "e1") -> Call:
    return invoke(lab.keys, lab.new(function), (event, "{}"), KEEP)


def test_it_starts_a_run(lab: Lab) -> None:
    lab.publish(FN)
    assert lab(invoking(lab)) == 1
    (job,) = lab.queue()
    fields = lab.fields(job[:26])
    assert (fields["fn"], fields["event_id"], fields["status"]) == (FN, "e1", "queued")
    assert lab.indexed(job[:26]) == {"queued"}
    assert lab.redis.call("LLEN", lab.keys.wake) == 1


def test_the_same_event_id_starts_nothing_more(lab: Lab) -> None:
    lab.publish(FN)
    assert lab(invoking(lab)) == 1
    assert lab(invoking(lab)) == 0
    assert len(lab.queue()) == 1


def test_a_function_that_nobody_published(lab: Lab) -> None:
    lab.publish(FN)
    before = lab.snapshot()
    assert lab(invoking(lab, "unknown")) == -1
    assert lab.snapshot() == before
