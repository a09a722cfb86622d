"""rescue.lua: what a dead worker held goes back to the front of the queue."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, WIP_S, Lab, advancing, wrote

from qflow.store import lease


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def rescuing(lab: Lab, worker: str = "w1", *, leaving: bool = False, only: str = ""):  # type: ignore[no-untyped-def]
    return lease.rescue(lab.keys, worker, TTL_S, leaving=leaving, only=only)


def lapse(lab: Lab, worker: str = "w1") -> None:
    lab.redis.call("ZADD", lab.keys.leases, lab.now_ms - 1, worker)


def test_a_living_worker_is_left_alone(lab: Lab) -> None:
    lab.stepping()
    before = lab.snapshot()
    assert lab(rescuing(lab)) == -1
    assert lab(rescuing(lab, "stranger")) == -1
    assert lab.snapshot() == before


def test_a_dead_worker(lab: Lab) -> None:
    held, lane = lab.stepping(step="send it", attempt=2, deaths=1)
    entering, entered = lab.held()
    waiting = lab.queued()
    lapse(lab)
    assert lease.lapsed(lab.redis, lab.keys, lab.now_ms) == ["w1"]
    assert lab(rescuing(lab)) == 2
    again = lane.next("q", "send it", 3, 2)
    anew = entered.next("q", "", 1, 1)
    queue = lab.queue()
    assert set(queue[:2]) == {held.job(again), entering.job(anew)}
    assert queue[2] == f"{waiting}-enter-1"
    assert lab.fields(held.run)["lane"] == again.record
    assert lab.fields(entering.run)["lane"] == anew.record
    assert lab.fields(held.run)["status"] == "queued"
    assert lab.indexed(held.run) == {"queued"} == lab.indexed(entering.run)
    assert lab.trace(held.run)[-1] == {"t": "died", "w": "w1", "step": "send it"}
    assert lab.counter("deaths") == 2
    job = held.job(lane)
    assert lab.job(held, lane)["status"] == "failed"
    assert job in lab.members(lab.keys.failed)
    assert 0 < lab.ttl(lab.keys.job(job)) <= TTL_S
    assert lab.redis.call("XLEN", lab.keys.results(job)) == 1
    assert 0 < lab.ttl(lab.keys.results(job)) <= TTL_S
    assert lab.job(held, again)["description"] == f"{FN}/send it"
    forgotten = (
        lab.keys.lanes("w1"),
        lab.keys.rq_worker("w1"),
        lab.keys.rq_worker_executions("w1"),
    )
    assert lab.redis.call("EXISTS", *forgotten) == 0
    assert lab.members(lab.keys.leases) == [] == lab.members(lab.keys.wip)
    assert lab.redis.call("SCARD", lab.keys.rq_workers) == 0
    assert lab.redis.call("SCARD", lab.keys.rq_queue_workers) == 0


def test_repeated_it_changes_nothing(lab: Lab) -> None:
    lab.stepping()
    lapse(lab)
    assert lab(rescuing(lab)) == 1
    before = lab.snapshot()
    assert lab(rescuing(lab)) == -1
    assert lab.snapshot() == before


def test_the_dead_workers_late_commit_is_refused(lab: Lab) -> None:
    held, lane = lab.stepping()
    lapse(lab)
    lab(rescuing(lab))
    late = advancing(held, lane, lane.next("s", "second"), wrote("send"))
    assert lab(late) == [b"q|3|1|1||send"]
    assert lab.counter("fenced") == 1


def test_a_leaving_worker_uses_up_no_attempt(lab: Lab) -> None:
    held, lane = lab.stepping(attempt=1)
    assert lab(rescuing(lab, leaving=True)) == 1
    assert lab.fields(held.run)["lane"] == "q|3|1|0||send"
    assert lab.redis.call("EXISTS", lab.keys.job(held.job(lane))) == 0
    assert [told["t"] for told in lab.trace(held.run)] == ["claim"]
    assert lab.counter("deaths") == 0
    assert lab.members(lab.keys.leases) == []


def test_a_worker_with_nothing(lab: Lab) -> None:
    lab.beat()
    assert lab(rescuing(lab, leaving=True)) == 0
    assert lab.members(lab.keys.leases) == []


def test_a_single_run_that_a_worker_knows_nothing_of(lab: Lab) -> None:
    held, lane = lab.stepping()
    kept, kept_lane = lab.stepping()
    untouched = lab.snapshot()
    assert lab(rescuing(lab, leaving=True, only=f"{held.run}:{lane.token + 1}")) == 0
    assert lab.snapshot() == untouched, "it was claimed again since"
    assert lab(rescuing(lab, leaving=True, only=f"{held.run}:{lane.token}")) == 1
    assert lab.fields(held.run)["lane"] == lane.next("q", "send").record
    assert lab.fields(kept.run)["lane"] == kept_lane.record
    assert lab.redis.call("SMEMBERS", lab.keys.lanes("w1")) == [kept.run.encode()]
    assert lab.members(lab.keys.leases) == ["w1"]
    before = lab.snapshot()
    assert lab(rescuing(lab, leaving=True, only=f"{held.run}:{lane.token}")) == 0
    assert lab.snapshot() == before
    assert WIP_S


def test_a_run_that_went_elsewhere_is_not_taken_back(lab: Lab) -> None:
    held, _ = lab.stepping()
    lab.redis.call("HSET", lab.keys.run(held.run), "lane", "s|5|0|0|w2|send")
    lapse(lab)
    assert lab(rescuing(lab)) == 0
    assert lab.fields(held.run)["lane"] == "s|5|0|0|w2|send"
    assert lab.queue() == []
    lab.redis.call("DEL", lab.keys.wip)


def test_a_step_too_young_to_have_a_job_leaves_a_failed_one(lab: Lab) -> None:
    held, lane = lab.stepping()
    young = lane.next("s", "second")
    assert lab(advancing(held, lane, young, wrote("send"))) == [1]
    assert lab.job(held, young) == {}
    lapse(lab)
    assert lab(rescuing(lab)) == 1
    job = lab.job(held, young)
    assert (job["status"], job["description"], job["origin"]) == (
        "failed",
        f"{FN}/second",
        lab.keys.ns,
    )
    assert job["created_at"] and job["ended_at"]
    assert held.job(young) in lab.members(lab.keys.failed)
