"""open.lua: the job of a step that takes its time is written, already started."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, WIP_S, Lab, opening

from qflow.store import run
from qflow.store.run import Standing


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def test_it_opens_the_step_and_closes_what_led_to_it(lab: Lab) -> None:
    held, lane = lab.held()
    opened = lane.next("s", "first")
    assert lab(opening(held, lane, opened)) == 1
    assert lab.fields(held.run)["lane"] == opened.record == "s|2|0|0|w1|first"
    closed, current = lab.job(held, lane), lab.job(held, opened)
    assert closed["status"] == "finished" and closed["ended_at"].endswith("Z")
    assert 0 < lab.ttl(lab.keys.job(held.job(lane))) <= TTL_S
    assert current["status"] == "started"
    assert (current["description"], current["timeout"], current["worker_name"]) == (
        f"{FN}/first", "30", "w1",
    )  # fmt: skip
    assert current["origin"] == lab.keys.ns
    assert lab.ttl(lab.keys.job(held.job(opened))) == -1
    assert lab.members(lab.keys.wip) == [f"{held.job(opened)}:w1"]
    score = float(lab.redis.call("ZSCORE", lab.keys.wip, f"{held.job(opened)}:w1"))
    assert WIP_S - 3 < score - lab.now_ms / 1000 <= WIP_S
    assert lab.members(lab.keys.finished) == [held.job(lane)]
    assert lab.indexed(held.run) == {"running"}


def test_the_step_that_redis_knows_of_already(lab: Lab) -> None:
    held, lane = lab.stepping()
    lab.redis.call("DEL", lab.keys.job(held.job(lane)), lab.keys.wip)
    finished = lab.members(lab.keys.finished)
    call = run.open_step(held, lane, Standing(lane.record))
    assert lab(call) == 1
    assert lab.job(held, lane)["status"] == "started"
    assert lab.fields(held.run)["lane"] == lane.record
    assert lab.members(lab.keys.finished) == finished
    assert lab(call) == 1, "once more does no harm"


def test_repeated_after_a_lost_reply(lab: Lab) -> None:
    held, lane = lab.held()
    call = opening(held, lane, lane.next("s", "first"))
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 0


def test_refused_where_the_lease_was_lost(lab: Lab) -> None:
    held, lane = lab.stepping()
    other = "s|9|1|1|w2|send"
    lab.redis.call("HSET", lab.keys.run(held.run), "lane", other)
    before = lab.snapshot()
    assert lab(opening(held, lane, lane.next("s", "second"))) == other.encode()
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 1


@pytest.mark.leaves_keys("those of a run that somebody deleted by hand")
def test_refused_where_the_run_is_gone(lab: Lab) -> None:
    held, lane = lab.stepping()
    lab.redis.call("DEL", *held.run_keys)
    assert lab(opening(held, lane, lane.next("s", "second"))) == b""
    assert lab.redis.call("EXISTS", *held.run_keys) == 0
