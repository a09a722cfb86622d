"""claim.lua: a worker takes jobs, each with all that is known of its run."""

from __future__ import annotations

import pytest
from store.lab import FN, WIP_S, Lab, advancing, wrote

from qflow.core.ids import step_hash
from qflow.store import lease, run
from qflow.store import open as open_steps
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


def taken(lab: Lab, worker: str = "w1") -> list[str]:
    """The runs that a worker with nine free places gets."""
    return [each.run for each in lab.claim(worker, 9)]


def end(lab: Lab, claimed: run.Claimed) -> None:
    """Complete a claimed run."""
    held = run.Held(lab.keys, claimed.run, FN, 0, 500, WIP_S)
    ended = run.End("completed", "1", 60, "", "{}")
    assert lab(run.finish(held, claimed.lane, run.NOTHING, ended)) == 1


def test_a_suspect_is_executed_alone(lab: Lab) -> None:
    lab.beat()
    lab.beat("w2")
    suspects = [suspect(lab) for _ in range(2)]
    plain = [lab.queued() for _ in range(2)]
    lab.redis.call("DEL", lab.keys.wake)
    assert taken(lab) == suspects[:1]
    assert lab(run.claim(lab.keys, "w1", 9, WIP_S)) == -2, "it takes nothing beside it"
    assert lab.redis.call("LLEN", lab.keys.wake), "others are woken in its place"
    assert taken(lab, "w2") == plain, "and try no other suspect meanwhile"
    assert lab.queue() == [f"{suspects[1]}-enter-1"]


def test_a_suspect_that_ended_makes_room_for_the_next(lab: Lab) -> None:
    lab.beat()
    lab.beat("w2")
    suspects = [suspect(lab) for _ in range(2)]
    (first,) = lab.claim(count=9)
    end(lab, first)
    assert [first.run, *taken(lab)] == suspects


def test_after_a_trial_others_have_their_time_where_there_is_one_worker(lab: Lab) -> None:
    lab.beat()
    suspects, plain = [suspect(lab) for _ in range(2)], lab.queued()
    (first,) = lab.claim(count=9)
    lab.redis.call("HINCRBY", lab.keys.trial, "since", -60_000)
    end(lab, first)
    (other,) = lab.claim(count=9)
    assert other.run == plain
    assert lab.redis.call("PTTL", lab.keys.trial) > 0
    end(lab, other)
    assert taken(lab) == [], "though it holds none"
    lab.redis.call("DEL", lab.keys.trial)
    assert taken(lab) == suspects[1:]


def test_a_busy_worker_takes_no_more_until_it_can_try_a_suspect(lab: Lab) -> None:
    lab.beat()
    lab.queued()
    (busy,) = lab.claim(count=9)
    late = suspect(lab)
    lab.queued()
    assert taken(lab) == taken(lab) == []
    end(lab, busy)
    assert taken(lab) == [late]


def test_an_idle_worker_tries_a_suspect_before_a_busy_one(lab: Lab) -> None:
    lab.beat()
    lab.queued()
    lab.claim()
    late, plain = suspect(lab), lab.queued()
    assert taken(lab) == []
    lab.beat("w2")
    assert taken(lab, "w2") == [late]
    assert taken(lab) == [plain]


def test_a_suspect_that_kills_makes_room_for_the_next(lab: Lab) -> None:
    lab.beat()
    deadly, other = suspect(lab), suspect(lab)
    assert taken(lab) == [deadly]
    lab.redis.call("ZADD", lab.keys.leases, 1, "w1")
    lab.beat("w2")
    lab.beat("w3")
    lab(lease.rescue(lab.keys, "w1", 500, leaving=False))
    (again,) = lab.claim("w2", 9)
    assert (again.run, again.lane.deaths) == (deadly, 3)
    end(lab, again)
    assert taken(lab, "w2") == [other]


def test_a_suspect_step_beside_the_main_lane_is_executed_alone(lab: Lab) -> None:
    held, lane = lab.held("w2")
    opening = open_steps.Opening("a", {"kind": "run", "attempt": 2, "deaths": 2})
    assert lab(lab.forking(held, lane, opening)) == 1
    plain = lab.queued()
    lab.beat()
    (tried,) = lab.claim(count=9)
    assert tried.member == f"{held.run}:{step_hash('a')}"
    assert taken(lab) == []
    assert taken(lab, "w2") == [plain]


def test_many_suspects_go_to_the_tail_in_order(lab: Lab) -> None:
    lab.beat()
    lab.beat("w2")
    suspects = [suspect(lab) for _ in range(34)]
    plain = lab.queued()
    assert taken(lab) == suspects[:1]
    assert taken(lab, "w2") == []
    order = [suspects[33], plain, *suspects[1:33]]
    assert lab.queue() == [f"{run}-enter-1" for run in order]
    assert taken(lab, "w2") == [plain]
