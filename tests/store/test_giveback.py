"""giveback.lua: the next job goes to the queue, for any worker."""

from __future__ import annotations

import json

import pytest
from store.lab import FN, TTL_S, Lab, wrote

from qflow.store import run
from qflow.store.run import Lane


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def test_at_the_end_of_a_time_slice(lab: Lab) -> None:
    held, lane = lab.stepping()
    waiting = lab.queued()
    given = lane.next("q", "second")
    assert lab(run.giveback(held, lane, given, wrote("send"), front=False)) == 1
    assert lab.queue() == [f"{waiting}-enter-1", held.job(given)]
    assert lab.steps(held.run) == {"send": '{"ok":1}'}
    fields = lab.fields(held.run)
    assert (fields["status"], fields["lane"]) == ("queued", "q|3|0|0||second")
    assert lab.now_ms - int(fields["queued"]) < 5000
    assert lab.indexed(held.run) == {"queued"}
    assert lab.redis.call("EXISTS", lab.keys.lanes("w1")) == 0
    assert lab.members(lab.keys.wip) == []
    assert lab.job(held, lane)["status"] == "finished"
    assert 0 < lab.ttl(lab.keys.job(held.job(lane))) <= TTL_S
    assert lab.job(held, given)["status"] == "queued"
    assert lab.redis.call("LLEN", lab.keys.wake) == 3


def test_when_draining_the_same_attempt_goes_to_the_front(lab: Lab) -> None:
    held, lane = lab.held()
    lab.queued()
    given = lane.next("q", "send", 2, 1)
    assert lab(run.giveback(held, lane, given, run.NOTHING, front=True)) == 1
    assert lab.queue()[0] == held.job(given)
    assert lab.steps(held.run) == {}
    assert lab.redis.call("EXISTS", lab.keys.job(held.job(lane))) == 0, "it never was an attempt"
    assert Lane.parse(lab.fields(held.run)["lane"])[2:4] == (2, 1)


def test_repeated_after_a_lost_reply(lab: Lab) -> None:
    held, lane = lab.stepping()
    call = run.giveback(held, lane, lane.next("q", "second"), wrote("send"), front=False)
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before


def test_repeated_where_the_run_waits_for_its_slots(lab: Lab) -> None:
    flow = {"flow": "fn:greet:0=*;"}
    lab.redis.call("HSET", lab.keys.limits, "fn:greet:0", 1)
    held, lane = lab.stepping()
    lab.redis.call("HSET", lab.keys.run(held.run), "flow", flow["flow"], "age", lab.now_ms)
    lab.redis.call("ZADD", lab.keys.slots("fn:greet:0=*"), 1, held.run)
    older = lab.new()._replace(terms=json.dumps({**flow, "ahead": 60_000}))
    assert lab(lab.starting(lab.entry(), "older", older)) == 1
    call = run.giveback(held, lane, lane.next("q", "second"), wrote("send"), front=False)
    assert lab(call) == 1
    assert lab.fields(held.run)["lane"] == "b|3|0|0||second"
    assert lab.queue() == [f"{older.run}-enter-1"]
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 0


def test_repeated_after_somebody_took_the_job_already(lab: Lab) -> None:
    held, lane = lab.stepping()
    call = run.giveback(held, lane, lane.next("q", "second"), wrote("send"), front=False)
    assert lab(call) == 1
    lab.beat("w2")
    assert len(lab.claim("w2")) == 1
    before = lab.snapshot()
    assert lab(call) == b"s|3|0|0|w2|second"
    assert lab.snapshot() == before


def test_refused_where_the_lease_was_lost(lab: Lab) -> None:
    held, lane = lab.stepping()
    lab.redis.call("HSET", lab.keys.run(held.run), "lane", "q|3|1|1||send")
    before = lab.snapshot()
    call = run.giveback(held, lane, lane.next("q", "second"), wrote("send"), front=True)
    assert lab(call) == b"q|3|1|1||send"
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 1
