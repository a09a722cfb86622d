"""beat.lua: a worker registers, renews its lease, and is seen by RQ's tools."""

from __future__ import annotations

import pytest
from store.lab import FN, LEASE_MS, WIP_S, Lab

IDLE = {"state": "idle", "finished": 0, "failed": 0, "worked_s": 0.0}


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def test_it_registers(lab: Lab) -> None:
    (now_ms,) = lab.beat("w1")
    assert abs(now_ms - lab.now_ms) < 5000
    lease = float(lab.redis.call("ZSCORE", lab.keys.leases, "w1"))
    assert LEASE_MS - 3000 < lease - lab.now_ms <= LEASE_MS
    worker = lab.hash(lab.keys.rq_worker("w1"))
    assert worker.pop("birth") == worker.pop("last_heartbeat")
    assert worker == {
        "queues": lab.keys.queue_name, "hostname": "host", "pid": "42", "ip_address": "127.0.0.1",
        "version": "0.1.0", "python_version": "3.11.7", "state": "idle",
        "successful_job_count": "0", "failed_job_count": "0", "total_working_time": "0",
    }  # fmt: skip
    assert 0 < lab.ttl(lab.keys.rq_worker("w1")) <= LEASE_MS / 1000 + 60
    member = lab.keys.rq_worker("w1").encode()
    assert lab.redis.call("SMEMBERS", lab.keys.rq_workers) == [member]
    assert lab.redis.call("SMEMBERS", lab.keys.rq_queue_workers) == [member]


def test_it_renews_and_counts(lab: Lab) -> None:
    lab.beat("w1")
    birth = lab.hash(lab.keys.rq_worker("w1"))["birth"]
    lab.redis.call("ZADD", lab.keys.leases, lab.now_ms + 10, "w1")
    for _ in range(2):
        lab.beat("w1", first=False, state="busy", finished=3, failed=1, worked_s=0.25)
    worker = lab.hash(lab.keys.rq_worker("w1"))
    assert worker["birth"] == birth
    assert worker["state"] == "busy"
    assert (worker["successful_job_count"], worker["failed_job_count"]) == ("6", "2")
    assert float(worker["total_working_time"]) == 0.5
    assert float(lab.redis.call("ZSCORE", lab.keys.leases, "w1")) > lab.now_ms + 10_000


def test_a_lapsed_lease_that_nobody_noticed_is_renewed(lab: Lab) -> None:
    lab.beat("w1")
    lab.redis.call("ZADD", lab.keys.leases, lab.now_ms - 10, "w1")
    assert lab.beat("w1", first=False)[0] > 0


def test_a_lost_lease_is_not_renewed(lab: Lab) -> None:
    lab.beat("w1")
    lab.redis.call("ZREM", lab.keys.leases, "w1")
    before = lab.snapshot()
    assert lab.beat("w1", first=False) == [-1]
    assert lab.snapshot() == before


def test_it_tells_what_the_worker_holds(lab: Lab) -> None:
    runs = {lab.held()[0].run for _ in range(3)}
    now_ms, *held = lab.beat("w1", first=False)
    assert now_ms > 0
    assert {run.decode() for run in held} == runs
    assert lab.ttl(lab.keys.lanes("w1")) > 80_000


def test_running_jobs_are_seen_as_executions(lab: Lab) -> None:
    held, lane = lab.stepping()
    job = held.job(lane)
    lab.redis.call("ZADD", lab.keys.wip, 1, f"{job}:w1")
    lab.beat("w1", job, "no-such-job", first=False, state="busy")
    now_s = lab.now_ms / 1000
    assert float(lab.redis.call("ZSCORE", lab.keys.wip, f"{job}:w1")) > now_s + WIP_S - 3
    assert lab.members(lab.keys.wip) == [f"{job}:w1"]
    execution = lab.hash(lab.keys.execution(job, "w1"))
    assert (execution["id"], execution["job_id"], execution["worker_name"]) == ("w1", job, "w1")
    assert abs(float(execution["created_at"]) - now_s) < 5
    assert lab.members(lab.keys.executions(job)) == ["w1"]
    assert lab.redis.call("SMEMBERS", lab.keys.rq_worker_executions("w1")) == [f"{job}:w1".encode()]
    for key in (
        lab.keys.execution(job, "w1"), lab.keys.executions(job), lab.keys.rq_worker_executions("w1"),
    ):  # fmt: skip
        assert 0 < lab.ttl(key) <= WIP_S
    lab.beat("w1", first=False)
    assert lab.redis.call("EXISTS", lab.keys.rq_worker_executions("w1")) == 0


def test_very_many_runs(lab: Lab) -> None:
    lab.beat("w1")
    names = [f"{n:026}" for n in range(9_000)]
    lab.redis.call("SADD", lab.keys.lanes("w1"), *names)
    assert len(lab.beat("w1", first=False)) == 9_001
