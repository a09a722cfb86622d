"""handover.lua: a step is kept, its job closed and the next one opened, already started."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, WIP_S, Lab, wrote

from qflow.store import run


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def test_it_keeps_closes_and_opens(lab: Lab) -> None:
    held, lane = lab.stepping()
    opened = lane.next("s", "second")
    assert lab(run.handover(held, lane, opened, wrote("send"), 30)) == 1
    assert lab.steps(held.run) == {"send": '{"ok":1}'}
    assert lab.fields(held.run)["lane"] == opened.record == "s|3|0|0|w1|second"
    assert lab.trace(held.run)[-1]["id"] == "send"
    closed, current = lab.job(held, lane), lab.job(held, opened)
    assert closed["status"] == "finished" and closed["ended_at"].endswith("Z")
    assert 0 < lab.ttl(lab.keys.job(held.job(lane))) <= TTL_S
    assert current["status"] == "started"
    assert (current["description"], current["timeout"], current["worker_name"]) == (
        f"{FN}/second", "30", "w1",
    )  # fmt: skip
    assert current["origin"] == lab.keys.ns
    assert lab.ttl(lab.keys.job(held.job(opened))) == -1
    assert lab.members(lab.keys.wip) == [f"{held.job(opened)}:w1"]
    score = float(lab.redis.call("ZSCORE", lab.keys.wip, f"{held.job(opened)}:w1"))
    assert WIP_S - 3 < score - lab.now_ms / 1000 <= WIP_S
    assert held.job(lane) in lab.members(lab.keys.finished)
    assert lab.indexed(held.run) == {"running"}


def test_repeated_after_a_lost_reply(lab: Lab) -> None:
    held, lane = lab.stepping()
    call = run.handover(held, lane, lane.next("s", "second"), wrote("send"), 30)
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
    call = run.handover(held, lane, lane.next("s", "second"), wrote("send"), 30)
    assert lab(call) == other.encode()
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 1


@pytest.mark.leaves_keys("those of a run that somebody deleted by hand")
def test_refused_where_the_run_is_gone(lab: Lab) -> None:
    held, lane = lab.stepping()
    lab.redis.call("DEL", *held.run_keys)
    call = run.handover(held, lane, lane.next("s", "second"), wrote("send"), 30)
    assert lab(call) == b""
    assert lab.redis.call("EXISTS", *held.run_keys) == 0
