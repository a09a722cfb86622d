"""settle, reopen, release and resume; and open steps in claim, rescue, requeue, adopt and finish."""

from __future__ import annotations

import pytest
from store.lab import FN, LEASE_MS, TTL_S, Lab, job_id, wrote

from qflow.core.ids import step_hash
from qflow.store import lease, lost, run
from qflow.store import open as open_steps
from qflow.store.open import Opening
from qflow.store.run import Claimed, Held, Lane

JOB = {"kind": "run", "attempt": 0, "deaths": 0}


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def forked(lab: Lab, steps: str = "ab") -> tuple[Held, list[Claimed]]:
    """A run with open steps, all claimed by w1."""
    held, lane = lab.held()
    assert lab(lab.forking(held, lane, *(Opening(step, JOB) for step in steps))) == 1
    return held, lab.claim("w1", len(steps))


def test_claim(lab: Lab) -> None:
    held, (one, two) = forked(lab)
    assert (one.is_open, one.lane, one.steps) == (True, Lane("s", 2, 0, 0, "w1", "a"), {})
    assert "event" not in one.fields and one.fields["fn"] == FN
    members = {raw.decode() for raw in lab.redis.call("SMEMBERS", lab.keys.lanes("w1"))}
    assert members == {one.member, two.member}
    assert lab.fields(held.run)["lane"] == "w|2|0|0||"
    assert len(lab.members(lab.keys.wip)) == 2


def test_the_first_that_settles_wakes_the_handler(lab: Lab) -> None:
    held, (one, two) = forked(lab)
    assert lab(open_steps.settle(held, one.lane, wrote("a"), "")) == 1
    assert lab.fields(held.run)["lane"] == "q|3|0|0||"
    assert lab.queue() == [job_id(held.run, "", 3)]
    assert lab.indexed(held.run) == {"queued"}
    assert lab(open_steps.settle(held, two.lane, wrote("b"), "Traceback")) == 1
    assert lab.queue() == [job_id(held.run, "", 3)], "once"
    assert lab.steps(held.run) == {"a": '{"ok":1}', "b": '{"ok":1}'}
    assert lab.redis.call("LRANGE", lab.keys.order(held.run), 0, -1) == [b"a", b"b"]
    assert lab.fields(held.run)["settled"] == "2"
    assert lab.job(held, one.lane)["status"] == "finished"
    assert lab.job(held, two.lane)["status"] == "failed"
    assert lab.redis.call("EXISTS", lab.keys.open(held.run), lab.keys.lanes("w1")) == 0
    assert lab.members(lab.keys.wip) == []


def test_settle_repeated_and_refused(lab: Lab) -> None:
    held, (one, two) = forked(lab)
    call = open_steps.settle(held, one.lane, wrote("a"), "")
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab(open_steps.settle(held, one.lane, wrote("a", '{"ok":2}'), "")) == b""
    late = two.lane._replace(token=1)
    assert lab(open_steps.settle(held, late, wrote("b"), "")) == two.lane.record.encode()
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 1, "only what another took over"


def test_what_was_given_up_is_no_lost_lease(lab: Lab) -> None:
    held, (one, _) = forked(lab)
    lab.redis.call("DEL", lab.keys.open(held.run))
    assert lab(open_steps.settle(held, one.lane, wrote("a"), "")) == b""
    lanes = one.lane, one.lane.next("d", "a")
    assert lab(open_steps.reopen(held, lanes, "Traceback", 1, "{}")) == b""
    assert lab(open_steps.release(held, lanes, 1)) == b""
    assert lab.counter("fenced") == 0
    assert lab.steps(held.run) == {}


def test_reopen(lab: Lab) -> None:
    held, (one, _) = forked(lab)
    after = one.lane.next("d", "a", 1)
    call = open_steps.reopen(held, (one.lane, after), "Traceback", 60_000, '{"t":"retry","id":"a"}')
    assert lab(call) == 1
    assert lab.opened(held.run)[step_hash("a")] == "d|3|1|0||a"
    assert lab.members(lab.keys.scheduled) == [job_id(held.run, "a", 3)]
    assert lab.job(held, one.lane)["status"] == "failed"
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before
    lab.redis.call("ZADD", lab.keys.scheduled, 1, job_id(held.run, "a", 3))
    assert lab.due(lab.lead()).count == 1
    assert lab.queue() == [job_id(held.run, "a", 3)]
    assert lab.claim("w1")[0].lane == Lane("s", 3, 1, 0, "w1", "a")


def test_release(lab: Lab) -> None:
    held, (one, _) = forked(lab)
    call = open_steps.release(held, (one.lane, one.lane.next("d", "a")), 60_000)
    assert lab(call) == 1
    assert lab.opened(held.run)[step_hash("a")] == "d|3|0|0||a"
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before


def test_resume(lab: Lab) -> None:
    held, _ = forked(lab)
    lane = Lane("w", 2, 0, 0, "", "")
    assert lab(open_steps.resume(lab.keys, held.run, lane, TTL_S)) == 1
    assert lab(open_steps.resume(lab.keys, held.run, lane, TTL_S)) == 0
    assert lab.queue() == [job_id(held.run, "", 3)]


def test_rescue(lab: Lab) -> None:
    held, (one, _) = forked(lab)
    lab.redis.call("ZADD", lab.keys.leases, 1, "w1")
    assert lab(lease.rescue(lab.keys, "w1", TTL_S, leaving=False)) == 2
    assert set(lab.opened(held.run).values()) == {"q|3|1|1||a", "q|3|1|1||b"}
    assert lab.fields(held.run)["lane"] == "w|2|0|0||"
    assert sorted(lab.queue()) == sorted(job_id(held.run, step, 3) for step in "ab")
    refused = lab(open_steps.settle(held, one.lane, wrote("a"), ""))
    assert refused == b"q|3|1|1||a"
    assert lab.counter("fenced") == 1
    assert lab(lease.rescue(lab.keys, "w1", TTL_S, leaving=False)) == -1


def test_one_step_that_a_worker_knows_nothing_of(lab: Lab) -> None:
    held, (one, two) = forked(lab)
    only = f"{one.member}:{one.lane.token}"
    assert lab(lease.rescue(lab.keys, "w1", TTL_S, leaving=True, only=only)) == 1
    assert lab.opened(held.run)[step_hash("a")] == "q|3|0|0||a"
    assert lab.redis.call("SMEMBERS", lab.keys.lanes("w1")) == [two.member.encode()]
    assert lab(lease.rescue(lab.keys, "w1", TTL_S, leaving=True, only=only)) == 0


def test_requeue(lab: Lab) -> None:
    held, lane = lab.held()
    assert lab(lab.forking(held, lane, Opening("a", JOB))) == 1
    lab.redis.call("DEL", lab.keys.queue)
    (missing,) = lost.Search(lab.redis, lab.keys, TTL_S).page(lab.now_ms + 1000)
    assert lab(lost.requeue(missing)) == 1
    assert lab.queue() == [job_id(held.run, "a", 2)]
    assert lab(lost.requeue(missing)) == 0


def test_adopt(lab: Lab) -> None:
    held, lane = lab.held()
    assert lab(lab.forking(held, lane, Opening("a", JOB))) == 1
    job = lab.redis.call("LPOP", lab.keys.queue).decode()
    reply = lab(run.adopt(lab.keys, "rq1", LEASE_MS, job))
    taken = run.claimed(reply)
    assert (taken.is_open, taken.lane) == (True, Lane("s", 2, 0, 0, "rq1", "a"))
    assert "event" in taken.fields
    assert lab.redis.call("SMEMBERS", lab.keys.lanes("rq1")) == [taken.member.encode()]
    assert lab(run.adopt(lab.keys, "rq1", LEASE_MS, job))[:2] == reply[:2], "a lost reply"
    assert lab(run.adopt(lab.keys, "rq2", LEASE_MS, job)) == []


def test_the_end_of_a_run_drops_what_is_open(lab: Lab) -> None:
    held, _ = forked(lab)
    lane = Lane("w", 2, 0, 0, "", "")
    lab(open_steps.resume(lab.keys, held.run, lane, TTL_S))
    (entered,) = lab.claim("w1")
    end = run.End("completed", "1", 60, "", '{"t":"end"}')
    assert lab(run.finish(held, entered.lane, run.NOTHING, end)) == 1
    keys = lab.keys
    assert lab.redis.call("EXISTS", keys.open(held.run), keys.forks, keys.lanes("w1")) == 0
    assert lab.members(keys.wip) == []
    for step in "ab":
        assert 0 < lab.ttl(keys.job(job_id(held.run, step, 2))) <= TTL_S
