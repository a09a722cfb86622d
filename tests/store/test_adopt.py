"""adopt.lua: a stock RQ worker takes a run's lane for the job that it popped."""

from __future__ import annotations

import pytest
from store.lab import FN, LEASE_MS, Lab, wrote

from qflow.store import run
from qflow.store.run import Lane, claimed


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def adopting(lab: Lab, job: str, worker: str = "rq1"):  # type: ignore[no-untyped-def]
    return run.adopt(lab.keys, worker, LEASE_MS, job)


def test_it_takes_lane_and_lease(lab: Lab) -> None:
    created = lab.queued()
    job = lab.redis.call("LPOP", lab.keys.queue).decode()
    reply = lab(adopting(lab, job))
    taken = claimed(reply)
    assert taken.lane == Lane("s", 1, 0, 0, "rq1", "")
    assert (taken.job, taken.run, taken.steps) == (job, created, {})
    assert taken.fields["status"] == "running"
    assert abs(reply[4] - lab.now_ms) < 5000
    lease = float(lab.redis.call("ZSCORE", lab.keys.leases, "rq1"))
    assert 0 < lease - lab.now_ms <= LEASE_MS
    assert lab.redis.call("SMEMBERS", lab.keys.lanes("rq1")) == [created.encode()]
    assert lab.ttl(lab.keys.lanes("rq1")) > 0
    assert lab.indexed(created) == {"running"}
    assert [told["t"] for told in lab.trace(created)] == ["claim"]


def test_repeated_after_a_lost_reply(lab: Lab) -> None:
    lab.queued()
    job = lab.redis.call("LPOP", lab.keys.queue).decode()
    first = lab(adopting(lab, job))
    before = lab.snapshot()
    again = lab(adopting(lab, job))
    assert again[:2] == first[:2] and sorted(again[2]) == sorted(first[2])
    assert lab.snapshot() == before
    assert lab.counter("dropped") == 0


def test_a_job_that_is_not_current_is_dropped(lab: Lab) -> None:
    created = lab.queued()
    lab.beat()
    lab.claim()
    before = lab.snapshot()
    for stray in (f"{created}-enter-1", f"{created}-enter-2", "x", "not-a-run-1"):
        assert lab(adopting(lab, stray)) == []
    assert lab.counter("dropped") == 4
    assert lab.snapshot() == before


def test_a_delayed_job_that_rq_scheduler_queued(lab: Lab) -> None:
    held, lane = lab.stepping()
    delayed = lane.next("d", "nap")
    wait = run.Wait(3_600_000, 0, 0, "", "{}")
    assert lab(run.delay(held, lane, delayed, wrote("send"), wait)) == 1
    taken = claimed(lab(adopting(lab, held.job(delayed))))
    assert taken.lane == Lane("s", 3, 0, 0, "rq1", "nap")
    assert taken.steps == {"send": '{"ok":1}'}
    assert lab.members(lab.keys.scheduled) == []
    assert "due" not in lab.fields(held.run)
    assert lab.indexed(held.run) == {"running"}
