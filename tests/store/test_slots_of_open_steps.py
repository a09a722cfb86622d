"""Open steps are counted by the limits of their run, by every script that moves them."""

from __future__ import annotations

import json

import pytest
from store.lab import FN, KEEP, LEASE_MS, TTL_S, Lab, wrote

from qflow.core.ids import job_id, step_hash
from qflow.read.limits import leaks, limits
from qflow.store import again, ending, lease, pause, run
from qflow.store import open as open_steps
from qflow.store.open import Opening
from qflow.store.run import Claimed, Held

JOB = {"kind": "run", "attempt": 0, "deaths": 0}
LIMIT = f"fn:{FN}:0"


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)
    lab.redis.call("HSET", lab.keys.limits, LIMIT, 2)
    lab.beat("w1")


def limited(lab: Lab, flow: str = f"{LIMIT}=*;") -> str:
    """Create a run that is counted; return its id."""
    start = lab.new()._replace(terms=json.dumps({"flow": flow}))
    assert lab(lab.starting(lab.entry(), f"e{start.run}", start)) == 1
    return start.run


def hold(lab: Lab, claimed: Claimed) -> Held:
    since = claimed.fields["created"]
    return Held(
        lab.keys, claimed.run, FN, 0, TTL_S, 90, since, False, claimed.fields.get("flow", "")
    )


def forked(lab: Lab, steps: str = "abc", flow: str = f"{LIMIT}=*;") -> Held:
    """A suspended run with open steps."""
    created = limited(lab, flow)
    (claimed,) = lab.claim()
    assert claimed.run == created
    held = hold(lab, claimed)
    assert lab(lab.forking(held, claimed.lane, *(Opening(step, JOB) for step in steps))) == 1
    return held


def states(lab: Lab, held: Held) -> str:
    """The states of a run's open steps, sorted."""
    return "".join(sorted(record[0] for record in lab.opened(held.run).values()))


def holders(lab: Lab) -> set[str]:
    return set(lab.members(lab.keys.slots(f"{LIMIT}=*")))


def sound(lab: Lab) -> None:
    """Who executes or is queued holds a slot, nobody else does, and nobody waits beside a free one."""
    assert leaks(lab.redis, lab.keys, 0) == []
    executing = set()
    for member in lab.members(lab.keys.runs):
        fields = lab.fields(member)
        if fields.get("flow") and fields["lane"][0] in "qs":
            executing.add(member)
        if fields.get("flow"):
            found = lab.opened(member).items()
            executing |= {f"{member}:{step}" for step, record in found if record[0] in "qs"}
    assert holders(lab) == executing
    waiting = lab.members(lab.keys.backlog(f"{LIMIT}=*"))
    assert not waiting or len(executing) == 2


def settled(lab: Lab, held: Held, claimed: Claimed) -> None:
    assert lab(open_steps.settle(held, claimed.lane, wrote(claimed.lane.step), "")) == 1


def test_as_many_as_the_limit_allows_are_queued(lab: Lab) -> None:
    held = forked(lab)
    assert states(lab, held) == "bqq"
    assert len(lab.queue()) == 2
    waits = next(r for r in lab.opened(held.run).values() if r[0] == "b")
    job = job_id(held.run, waits[-1], 2)
    assert lab.hash(lab.keys.job(job), lossy=True)["status"] == "deferred"
    assert [(v.holders, v.waiters) for v in limits(lab.redis, lab.keys)] == [(2, 1)]
    sound(lab)


def test_a_settled_step_hands_its_slot_on(lab: Lab) -> None:
    held = forked(lab)
    one, two = lab.claim(count=3)
    settled(lab, held, one)
    assert states(lab, held) == "bs", "the handler was there before"
    assert lab.fields(held.run)["lane"][0] == "q"
    sound(lab)
    settled(lab, held, two)
    assert states(lab, held) == "q"
    sound(lab)


def test_older_runs_go_first(lab: Lab) -> None:
    newer = [limited(lab) for _ in range(3)]
    lab.redis.call("HSET", lab.keys.limits, LIMIT, 0)
    (older, other) = lab.claim(count=2)
    assert [older.run, other.run] == newer[:2]
    lab.redis.call("HSET", lab.keys.limits, LIMIT, 2)
    held = hold(lab, older)
    assert lab(lab.forking(held, older.lane, Opening("a", JOB), Opening("b", JOB))) == 1
    assert states(lab, held) == "bq"
    assert lab.fields(newer[2])["lane"][0] == "b"
    sound(lab)


def test_a_try_that_failed_gives_its_slot_away_and_takes_one_again(lab: Lab) -> None:
    held = forked(lab, "abc")
    (one, _) = lab.claim(count=2)
    lanes = one.lane, one.lane.next("d", one.lane.step, 1)
    assert lab(open_steps.reopen(held, lanes, "Traceback", 0, "{}")) == 1
    assert states(lab, held) == "dqs"
    sound(lab)
    assert lab.due(lab.lead()).count == 0
    assert states(lab, held) == "bqs"
    sound(lab)


def test_a_job_that_is_put_back(lab: Lab) -> None:
    held = forked(lab)
    (one, _) = lab.claim(count=2)
    lanes = one.lane, one.lane.next("d", one.lane.step)
    assert lab(open_steps.release(held, lanes, 0)) == 1
    assert states(lab, held) == "dqs"
    sound(lab)


def test_a_dead_workers_slots_stay_with_its_steps(lab: Lab) -> None:
    held = forked(lab)
    lab.claim(count=2)
    before = holders(lab)
    lab.redis.call("ZADD", lab.keys.leases, 1, "w1")
    assert lab(lease.rescue(lab.keys, "w1", TTL_S, leaving=False)) == 2
    assert states(lab, held) == "bqq" and holders(lab) == before
    sound(lab)


def test_the_end_of_a_run_frees_all_and_leaves_the_backlog(lab: Lab) -> None:
    held = forked(lab)
    waits = limited(lab)
    assert lab.fields(waits)["lane"][0] == "b"
    assert lab(ending.cancel(lab.keys, ending.Cancel(held.run, "r", "by a test"), KEEP))[0] == 1
    assert lab.fields(waits)["lane"][0] == "q"
    assert holders(lab) == {waits}
    assert lab.redis.call("EXISTS", lab.keys.backlog(f"{LIMIT}=*"), lab.keys.rings) == 0
    sound(lab)


def test_a_step_that_is_given_up(lab: Lab) -> None:
    held = forked(lab)
    one, two = lab.claim(count=2)
    settled(lab, held, one)
    (entered,) = lab.claim()
    waits = next(r for r in lab.opened(held.run).values() if r[0] == "b").rpartition("|")[2]
    drops = [Opening(step, {"kind": "drop"}) for step in (two.lane.step, waits)]
    assert lab(lab.forking(held, entered.lane, *drops, suspend=False)) == 1
    assert states(lab, held) == ""
    assert holders(lab) == {held.run}
    sound(lab)


def test_a_pause_gives_slots_away(lab: Lab) -> None:
    held = forked(lab)
    lab(pause.pause(lab.keys, FN, "hold"))
    assert lab.claim(count=5) == []
    assert states(lab, held) == "hhh", "the last of them had a slot for that"
    sound(lab)
    lab.redis.call("SCRIPT", "FLUSH")
    assert pause.unpause(lab.redis, lab.keys, FN).queued == 3
    assert states(lab, held) == "bqq"
    sound(lab)


def test_a_try_that_is_hurried_on_waits_for_a_slot(lab: Lab) -> None:
    held = forked(lab)
    (one, _) = lab.claim(count=2)
    lanes, note = (one.lane, one.lane.next("d", one.lane.step, 1)), '{"t":"retry","id":"a"}'
    assert lab(open_steps.reopen(held, lanes, "x", 60_000, note)) == 1
    step = one.lane.step
    assert lab(again.hasten(lab.keys, held.run, "retry", step, TTL_S)) == [1, step.encode()]
    assert states(lab, held) == "bqs"
    sound(lab)


@pytest.mark.parametrize("taken_by", ["claim", "adopt"])
def test_a_delayed_job_that_rq_scheduler_queued(lab: Lab, taken_by: str) -> None:
    held = forked(lab)
    (one, _) = lab.claim(count=2)
    lanes = one.lane, one.lane.next("d", one.lane.step, 1)
    assert lab(open_steps.reopen(held, lanes, "x", 60_000, "{}")) == 1
    job = held.job(lanes[1])
    lab.redis.call("DEL", lab.keys.queue)  # by a worker that is slow
    if taken_by == "claim":
        lab.redis.call("RPUSH", lab.keys.queue, job)
        assert lab.claim() == []
    else:
        assert lab(run.adopt(lab.keys, "rq1", LEASE_MS, job)) == []
    assert lab.opened(held.run)[step_hash(one.lane.step)][0] == "b"
    assert lab.members(lab.keys.scheduled) == []
    sound(lab)


def test_a_slot_of_the_whole_run_is_not_asked_for_again(lab: Lab) -> None:
    lab.redis.call("HSET", lab.keys.limits, "fn:greet:1", 1)
    held = forked(lab, "abc", f"{LIMIT}=*;fn:greet:1=*")
    assert states(lab, held) == "bqq"
    assert lab.members(lab.keys.slots("fn:greet:1=*")) == [held.run]
    other = limited(lab, f"{LIMIT}=*;fn:greet:1=*")
    assert lab.fields(other)["lane"][0] == "b"
    sound(lab)


def test_the_audit_finds_a_step_that_leaks(lab: Lab) -> None:
    held = forked(lab)
    (one, _) = lab.claim(count=2)
    lab.redis.call("HDEL", lab.keys.open(held.run), step_hash(one.lane.step))
    (found,) = leaks(lab.redis, lab.keys, 0)
    assert (found.run, found.why) == (
        held.run, f"executes nothing, but holds a slot of {LIMIT}=*",
    )  # fmt: skip
