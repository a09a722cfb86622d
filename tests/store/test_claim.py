"""claim.lua: a worker takes jobs, each with all that is known of its run."""

from __future__ import annotations

import pytest
from store.lab import FN, WIP_S, Lab, advancing, wrote

from qflow.store import run
from qflow.store.run import Lane


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def test_a_job_is_taken_with_its_run(lab: Lab) -> None:
    lab.beat()
    created = lab.queued()
    (claimed,) = lab.claim()
    assert claimed.job == f"{created}-enter-1"
    assert claimed.run == created
    assert claimed.lane == Lane("s", 1, 0, 0, "w1", "")
    assert claimed.fields["status"] == "running" and claimed.fields["fn"] == FN
    assert claimed.steps == {}
    assert lab.fields(created)["lane"] == "s|1|0|0|w1|"
    assert int(lab.fields(created)["started"]) <= lab.now_ms
    assert lab.indexed(created) == {"running"}
    assert lab.queue() == []
    assert lab.redis.call("SMEMBERS", lab.keys.lanes("w1")) == [created.encode()]
    job = lab.hash(lab.keys.job(claimed.job), lossy=True)
    assert (job["status"], job["worker_name"]) == ("started", "w1")
    score = float(lab.redis.call("ZSCORE", lab.keys.wip, f"{claimed.job}:w1"))
    assert WIP_S - 3 < score - lab.now_ms / 1000 <= WIP_S
    (told,) = lab.trace(created)
    assert told == {"t": "claim", "w": "w1", "q": int(lab.fields(created)["queued"])}


def test_several_oldest_first(lab: Lab) -> None:
    lab.beat()
    created = [lab.queued() for _ in range(5)]
    assert [claimed.run for claimed in lab.claim(count=3)] == created[:3]
    assert [claimed.run for claimed in lab.claim(count=9)] == created[3:]
    assert lab.claim() == []


def test_no_lease_no_job(lab: Lab) -> None:
    lab.queued()
    before = lab.snapshot()
    assert lab(run.claim(lab.keys, "stranger", 5, WIP_S)) == -1
    assert lab.snapshot() == before


def test_finished_steps_come_along(lab: Lab) -> None:
    held, lane = lab.stepping()
    given = lane.next("q", "next")
    assert lab(run.giveback(held, lane, given, wrote("send"), front=False)) == 1
    (claimed,) = lab.claim("w1")
    assert claimed.lane == Lane("s", 3, 0, 0, "w1", "next")
    assert claimed.steps == {"send": '{"ok":1}'}


def test_what_is_no_current_job_is_dropped_and_counted(lab: Lab) -> None:
    lab.beat()
    created = lab.queued()
    job = f"{created}-enter-1"
    keys = lab.keys
    for stray in (f"{created}-enter-7", "no-job-of-ours", "x", f"{'0' * 26}-enter-1", ""):
        lab.redis.call("LPUSH", keys.queue, stray)
    lab.redis.call("RPUSH", keys.queue, job)
    assert [claimed.job for claimed in lab.claim(count=9)] == [job]
    assert lab.counter("dropped") == 6, "the current job's double too"
    assert lab.hash(keys.job(job), lossy=True)["status"] == "started"
    assert lab.redis.call("EXISTS", keys.job("x"), keys.job("no-job-of-ours")) == 0


def test_a_job_requeued_by_hand_gets_its_expiry_back(lab: Lab) -> None:
    held, lane = lab.stepping()
    job = held.job(lane)
    opened = lane.next("s", "next")
    assert lab(advancing(held, lane, opened, wrote("send"))) == [1]
    lab.redis.call("PERSIST", lab.keys.job(job))
    lab.redis.call("HSET", lab.keys.job(job), "status", "queued")
    lab.redis.call("RPUSH", lab.keys.queue, job)
    assert lab.claim() == []
    assert lab.hash(lab.keys.job(job), lossy=True)["status"] == "canceled"
    assert 0 < lab.ttl(lab.keys.job(job)) <= WIP_S
    assert lab.fields(held.run)["lane"] == opened.record


def test_a_delayed_job_that_somebody_queued_is_taken(lab: Lab) -> None:
    held, lane = lab.stepping()
    delayed = lane.next("d", "nap")
    wait = run.Wait(3_600_000, 0, 0, "", "{}")
    assert lab(run.delay(held, lane, delayed, wrote("send"), wait)) == 1
    lab.redis.call("RPUSH", lab.keys.queue, held.job(delayed))
    (claimed,) = lab.claim()
    assert claimed.lane == Lane("s", 3, 0, 0, "w1", "nap")
    assert lab.members(lab.keys.scheduled) == []
    assert "due" not in lab.fields(held.run)
    assert lab.indexed(held.run) == {"running"}


def test_others_are_woken_for_what_is_left(lab: Lab) -> None:
    lab.beat()
    for _ in range(3):
        lab.queued()
    lab.redis.call("DEL", lab.keys.wake)
    lab.claim()
    assert lab.redis.call("LLEN", lab.keys.wake) == 2
    assert 0 < lab.ttl(lab.keys.wake) <= 60


def suspect(lab: Lab) -> str:
    """A queued run whose worker died twice."""
    created = lab.queued()
    lab.redis.call("HSET", lab.keys.run(created), "lane", "q|1|2|2||")
    return created


def test_a_worker_takes_one_suspect_at_a_time(lab: Lab) -> None:
    lab.beat()
    suspects = [suspect(lab) for _ in range(3)]
    plain = [lab.queued() for _ in range(2)]
    assert [claimed.run for claimed in lab.claim(count=9)] == [suspects[0], *plain]
    assert lab.queue() == [f"{run}-enter-1" for run in suspects[1:]], "the others keep their order"
    assert lab.claim(count=9) == []
    lab.beat("w2")
    assert [claimed.run for claimed in lab.claim("w2", 9)] == [suspects[1]]


def test_a_suspect_that_ended_makes_room_for_the_next(lab: Lab) -> None:
    lab.beat()
    first, second = suspect(lab), suspect(lab)
    (claimed,) = lab.claim(count=9)
    assert claimed.run == first
    held = run.Held(lab.keys, first, FN, 0, 500, WIP_S)
    end = run.End("completed", "1", 60, "", "{}")
    assert lab(run.finish(held, claimed.lane, run.NOTHING, end)) == 1
    assert [claimed.run for claimed in lab.claim(count=9)] == [second]


def test_many_suspects_go_to_the_tail_in_order(lab: Lab) -> None:
    lab.beat()
    suspects = [suspect(lab) for _ in range(34)]
    plain = lab.queued()
    assert [claimed.run for claimed in lab.claim(count=9)] == [suspects[0]]
    order = [suspects[33], plain, *suspects[1:33]]
    assert lab.queue() == [f"{run}-enter-1" for run in order]
    assert [claimed.run for claimed in lab.claim(count=9)] == [plain]
