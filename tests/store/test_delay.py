"""delay.lua: the next job waits for its time; the failed attempt is on record."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, Lab, wrote

from qflow.store import run
from qflow.store.run import Wait


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def test_a_sleep(lab: Lab) -> None:
    held, lane = lab.stepping()
    napping = lane.next("d", "nap")
    before = lab.now_ms
    wait = Wait(60_000, 0, 0, "", '{"t":"sleep","id":"nap"}')
    assert lab(run.delay(held, lane, napping, wrote("send"), wait)) == 1
    fields = lab.fields(held.run)
    assert (fields["status"], fields["lane"]) == ("waiting", "d|3|0|0||nap")
    assert before + 60_000 <= int(fields["due"]) <= lab.now_ms + 60_000
    assert lab.trace(held.run)[-1] == {"t": "sleep", "id": "nap", "due": fields["due"]}
    assert lab.steps(held.run) == {"send": '{"ok":1}'}
    assert lab.members(lab.keys.scheduled) == [held.job(napping)]
    score = float(lab.redis.call("ZSCORE", lab.keys.scheduled, held.job(napping)))
    assert round(score * 1000) == int(fields["due"])
    assert lab.indexed(held.run) == {"waiting"}
    assert lab.job(held, lane)["status"] == "finished"
    assert lab.job(held, napping)["status"] == "scheduled"
    assert lab.redis.call("EXISTS", lab.keys.lanes("w1")) == 0
    assert lab.members(lab.keys.wip) == []
    assert lab.redis.call("EXISTS", lab.keys.results(held.job(lane))) == 0


def test_an_absolute_time(lab: Lab) -> None:
    held, lane = lab.stepping()
    wait = Wait(0, 2_000_000_000_123, 0, "", "{}")
    assert lab(run.delay(held, lane, lane.next("d", "nap"), wrote("send"), wait)) == 1
    assert lab.fields(held.run)["due"] == "2000000000123"


def test_another_attempt(lab: Lab) -> None:
    held, lane = lab.stepping(attempt=1)
    again = lane.next("d", "send", 2)
    wait = Wait(15_000, 0, 0, "Traceback: half \ud800", '{"t":"retry","id":"send"}')
    assert lab(run.delay(held, lane, again, run.NOTHING, wait)) == 1
    assert lab.fields(held.run)["lane"] == "d|3|2|0||send"
    assert lab.fields(held.run)["attempt"] == "0"
    assert lab.steps(held.run) == {}
    failed = held.job(lane)
    assert lab.job(held, lane)["status"] == "failed"
    assert lab.members(lab.keys.failed) == [failed]
    assert 0 < lab.ttl(lab.keys.job(failed)) <= TTL_S
    assert 0 < lab.ttl(lab.keys.results(failed)) <= TTL_S
    assert lab.redis.call("XLEN", lab.keys.results(failed)) == 1


def test_the_scheduler_is_woken_only_for_what_is_due_first(lab: Lab) -> None:
    for delay_ms, woken in ((60_000, 1), (90_000, 0), (30_000, 1)):
        held, lane = lab.stepping()
        lab.redis.call("DEL", lab.keys.wake_timer)
        wait = Wait(delay_ms, 0, 0, "", "{}")
        assert lab(run.delay(held, lane, lane.next("d", "nap"), wrote("send"), wait)) == 1
        assert lab.redis.call("LLEN", lab.keys.wake_timer) == woken
        assert lab.ttl(lab.keys.wake_timer) == (60 if woken else -2)


def test_repeated_after_a_lost_reply(lab: Lab) -> None:
    held, lane = lab.stepping()
    wait = Wait(60_000, 0, 1, "Traceback", "{}")
    call = run.delay(held, lane, lane.next("d", "send", 1), run.NOTHING, wait)
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before


def test_refused_where_the_lease_was_lost(lab: Lab) -> None:
    held, lane = lab.stepping()
    lab.redis.call("HSET", lab.keys.run(held.run), "lane", "e|9|0|0||")
    before = lab.snapshot()
    wait = Wait(60_000, 0, 1, "Traceback", "{}")
    assert lab(run.delay(held, lane, lane.next("d", "send"), run.NOTHING, wait)) == b"e|9|0|0||"
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 1


def test_a_job_that_keeps_being_postponed_has_one_entry(lab: Lab) -> None:
    held, lane = lab.held()
    token = lab.lead()
    for _ in range(4):
        wait = Wait(1, 0, 0, "", '{"t": "postponed", "why": "n"}')
        after = lane.next("d", "")
        assert lab(run.delay(held, lane, after, run.NOTHING, wait)) == 1
        lab.redis.call("ZADD", lab.keys.scheduled, 1, held.job(after))
        lab.due(token)
        (claimed,) = lab.claim()
        lane = claimed.lane
    told = [(entry["t"], entry.get("n")) for entry in lab.trace(held.run)]
    assert told[-3:] == [("claim", None), ("postponed", 4), ("claim", None)]
    assert [kind for kind, _ in told].count("postponed") == 1
