"""cancel.lua: a run ends wherever it stands, and nothing that it held is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store.lab import FN, KEEP, TTL_S, Lab, advancing, opening, wrote

from qflow.store import directory, ending, run
from qflow.store.run import End, Held, Lane, Wait
from qflow.store.script import Call
from qflow.store.stream import Start

ENDED = End("completed", "[1]", 700, "", '{"t":"end","status":"completed"}')
TERMS = {"start": 60_000, "finish": 90_000, "cancel": [f"{FN}:rule:value", f"{FN}:rule2:"]}


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def cancelling(lab: Lab, run_id: str, request: str = "r1") -> Call:
    return ending.cancel(lab.keys, ending.Cancel(run_id, request, 'by "hand"'), KEEP)


def watched(lab: Lab) -> str:
    new = lab.new()
    start = Start(*new[:4], json.dumps(TERMS))
    assert lab(lab.starting(lab.entry(), f"e{start.run}", start)) == 1
    return start.run


def stand(lab: Lab, state: str) -> tuple[Held, Lane]:
    """A run whose lane is in that state, and the lane."""
    if state == "q":
        return Held(lab.keys, watched(lab), FN, 0, TTL_S, 90), Lane("q", 1, 0, 0, "", "")
    run_id = watched(lab)
    lab.beat()
    (claimed,) = lab.claim()
    held, lane = Held(lab.keys, run_id, FN, 0, TTL_S, 90), claimed.lane
    if state == "d":
        after = lane.next("d", "nap")
        lab(run.delay(held, lane, after, run.NOTHING, Wait(60_000, 0, 0, "", '{"t":"sleep"}')))
        return held, after
    return held, lane


@pytest.mark.parametrize("state", ["q", "s", "d"])
def test_it_releases_everything(lab: Lab, state: str) -> None:
    held, lane = stand(lab, state)
    keys = lab.keys
    assert len(lab.members(keys.deadlines)) == 2
    assert lab.members(keys.cancel(f"{FN}:rule:value")) == [held.run]
    assert lab(cancelling(lab, held.run)) == [1, FN.encode()]
    fields = lab.fields(held.run)
    assert (fields["status"], fields["reason"]) == ("cancelled", 'by "hand"')
    assert fields["lane"].startswith(f"e|{lane.token + 1}|")
    assert "due" not in fields
    assert lab.now_ms - int(fields["ended"]) < 5000
    assert lab.members(keys.by_status("cancelled")) == [held.run]
    assert lab.members(keys.by_function(FN, "cancelled")) == [held.run]
    assert lab.indexed(held.run) == set()
    assert lab.queue() == lab.members(keys.wip) == lab.members(keys.scheduled) == []
    gone = (keys.lanes("w1"), keys.deadlines, *(keys.cancel(rule) for rule in TERMS["cancel"]))  # type: ignore[attr-defined]
    assert lab.redis.call("EXISTS", *gone) == 0
    assert lab.job(held, lane)["status"] == "canceled"
    assert 0 < lab.ttl(keys.job(held.job(lane))) <= TTL_S
    for key in held.run_keys[::2]:
        assert 0 < lab.ttl(key) <= KEEP.ended_s
    assert lab.trace(held.run)[-1] == {"t": "end", "status": "cancelled", "why": 'by "hand"'}


def test_a_long_queue_is_not_searched_and_its_entry_is_dropped_later(lab: Lab) -> None:
    first = lab.queued()
    lab.redis.call("RPUSH", lab.keys.queue, *(f"x{n}" for n in range(1001)))
    assert lab(cancelling(lab, first))[0] == 1
    assert lab.queue()[0] == f"{first}-enter-1"
    lab.redis.call("LTRIM", lab.keys.queue, 0, 0)
    lab.beat()
    assert lab.claim() == []


def test_the_same_request_again(lab: Lab) -> None:
    held, _ = stand(lab, "d")
    call = cancelling(lab, held.run)
    assert lab(call) == [1, FN.encode()]
    before = lab.snapshot()
    assert lab(call) == [1, FN.encode()]
    assert lab(cancelling(lab, held.run, "another")) == [0, b"cancelled"]
    assert lab.snapshot() == before


def test_what_has_ended_stays_as_it_ended(lab: Lab) -> None:
    held, lane = lab.stepping()
    assert lab(run.finish(held, lane, run.NOTHING, ENDED)) == 1
    before = lab.snapshot()
    assert lab(cancelling(lab, held.run)) == [0, b"completed"]
    assert lab(cancelling(lab, "0" * 26)) == [-1]
    assert lab.snapshot() == before


def test_a_late_commit_is_told_so_and_not_counted_as_a_lost_lease(lab: Lab) -> None:
    held, lane = lab.stepping()
    after, wait = lane.next("d", "send"), Wait(10, 0, 0, "", "{}")
    lab(cancelling(lab, held.run))
    before = lab.snapshot()
    for call in (
        run.finish(held, lane, wrote("send"), ENDED),
        opening(held, lane, lane.next("s", "next")),
        run.giveback(held, lane, lane.next("q", "next"), wrote("send"), front=False),
        run.delay(held, lane, after, wrote("send"), wait),
    ):
        assert lab(call) == run.CANCELLED
    for output in ("", "[1]"):
        following = lane.next("e" if output else "s", "next")
        call = advancing(held, lane, following, wrote("send"), output=output)
        assert lab(call) == [run.CANCELLED]
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 0


@pytest.mark.parametrize("script", ["finish", "advance"])
def test_a_run_that_ends_by_itself_leaves_no_place_either(lab: Lab, script: str) -> None:
    held, lane = stand(lab, "s")
    if script == "finish":
        assert lab(run.finish(held, lane, run.NOTHING, ENDED)) == 1
    else:
        following = lane.next("e", "")
        assert lab(advancing(held, lane, following, run.NOTHING, output="1")) == [1]
    assert lab.redis.call("EXISTS", lab.keys.deadlines, lab.keys.cancel(f"{FN}:rule:value")) == 0


def test_the_event_of_a_cancelled_run(lab: Lab) -> None:
    trigger = {"event": "qflow/function.cancelled"}
    specs: list[dict[str, Any]] = [
        {"id": FN, "triggers": []},
        {"id": "on", "triggers": [trigger]},
    ]
    lab(directory.publish(lab.keys, "app:workers", specs, ()))
    held, _ = stand(lab, "s")
    lab(cancelling(lab, held.run))
    ((_, flat),) = lab.redis.call("XREVRANGE", lab.keys.events, "+", "-", "COUNT", 1)
    told = dict(zip(flat[::2], flat[1::2], strict=True))
    assert told[b"name"] == b"qflow/function.cancelled"
    assert json.loads(told[b"data"])["reason"] == 'by "hand"'
