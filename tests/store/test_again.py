"""again.lua, hasten.lua, discard.lua: a run once more, sooner, or away."""

from __future__ import annotations

import json

import pytest
from store.lab import FN, KEEP, TTL_S, Lab, advancing, wrote

from qflow.store import again, run
from qflow.store.again import Anew, Kept
from qflow.store.run import Wait
from qflow.store.stream import Start

NOTE = '{"t":"step","id":"a","a":0,"s":1,"e":2,"ok":true}'


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def failed(lab: Lab) -> str:
    held, lane = lab.stepping(step="a")
    after = lane.next("s", "b")
    assert lab(advancing(held, lane, after, wrote("a", '{"ok":7}'))) == [1]
    end = run.End("failed", "{}", 900, "", '{"t":"end","status":"failed"}')
    assert lab(run.finish(held, after, run.NOTHING, end)) == 1
    lab.redis.call("HSET", held.run_keys[0], "patch:new", "1")
    return held.run


def anew(lab: Lab, old: str, *, event: str = "", edit: str = "") -> Anew:
    return Anew(old, lab.new(), event, edit)


def test_the_same_event_and_linked(lab: Lab) -> None:
    old = failed(lab)
    what = anew(lab, old)
    call = again.again(lab.keys, what, KEEP, [])
    assert lab(call) == 1
    fields = lab.fields(what.start.run)
    assert fields["event"] == lab.fields(old)["event"]
    assert (fields["origin"], lab.fields(old)["again"]) == (old, what.start.run)
    assert (fields["status"], fields["lane"]) == ("queued", "q|1|0|0||")
    assert "patch:new" not in fields
    assert lab.steps(what.start.run) == {}
    assert lab.queue() == [f"{what.start.run}-enter-1"]
    before = lab.snapshot()
    assert lab(call) == 1
    assert lab.snapshot() == before


def test_a_result_that_was_encoded_for_the_new_run(lab: Lab) -> None:
    what = anew(lab, failed(lab))
    kept = [Kept("a", NOTE, '{"ok":8}'), Kept("gone", NOTE, '{"ok":9}')]
    assert lab(again.again(lab.keys, what, KEEP, kept)) == 1
    assert lab.steps(what.start.run) == {"a": '{"ok":8}'}


def test_with_finished_steps(lab: Lab) -> None:
    old = failed(lab)
    what = anew(lab, old, event='{"name":"x"}', edit='{"step":"b"}')
    assert lab(again.again(lab.keys, what, KEEP, [Kept("a", NOTE), Kept("gone", NOTE)])) == 1
    fields = lab.fields(what.start.run)
    assert lab.steps(what.start.run) == {"a": '{"ok":7}'}
    assert [told["t"] for told in lab.trace(what.start.run)] == ["step"]
    assert (fields["event"], fields["edit"]) == ('{"name":"x"}', '{"step":"b"}')
    assert fields["patch:new"] == "1"


def test_deadlines_hold_for_the_new_run(lab: Lab) -> None:
    start = Start(*lab.new()[:4], json.dumps({"finish": 60_000}))
    assert lab(again.again(lab.keys, Anew(failed(lab), start, "", ""), KEEP, [])) == 1
    assert lab.members(lab.keys.deadlines) == [f"finish|60000|{start.run}"]


def test_what_cannot_be_run_again(lab: Lab) -> None:
    old = failed(lab)
    assert lab(again.again(lab.keys, anew(lab, "0" * 26), KEEP, [])) == 0
    unknown = Start("nobody", lab.new().run, "v1", "app")
    assert lab(again.again(lab.keys, Anew(old, unknown, "", ""), KEEP, [])) == -1
    assert lab.queue() == []


def waiting(lab: Lab, note: str) -> str:
    held, lane = lab.stepping(step="nap")
    after = lane.next("d", "nap", 1)
    assert lab(run.delay(held, lane, after, run.NOTHING, Wait(60_000, 0, 0, "", note))) == 1
    return held.run


@pytest.mark.parametrize(
    ("note", "what"),
    [
        ('{"t": "sleep", "id": "nap"}', "sleep"),
        ('{"t":"retry","id":"nap"}', "retry"),
        ('{"t": "postponed", "why": "x"}', "retry"),
    ],
)
def test_it_goes_on_now(lab: Lab, note: str, what: str) -> None:
    run_id = waiting(lab, note)
    call = again.hasten(lab.keys, run_id, what, "nap" if what == "sleep" else "", TTL_S)
    assert lab(call) == [1, b"nap"]
    fields = lab.fields(run_id)
    assert (fields["status"], fields["lane"][:2]) == ("queued", "q|")
    assert "due" not in fields
    assert lab.members(lab.keys.scheduled) == []
    assert len(lab.queue()) == 1
    assert lab.indexed(run_id) == {"queued"}
    assert lab(call) == [-1, b"queued"]
    assert len(lab.claim()) == 1


def test_what_waits_for_something_else_is_left_alone(lab: Lab) -> None:
    run_id = waiting(lab, '{"t": "sleep", "id": "nap"}')
    before = lab.snapshot()
    assert lab(again.hasten(lab.keys, run_id, "retry", "", TTL_S)) == [0, b"sleep", b"nap"]
    assert lab(again.hasten(lab.keys, run_id, "sleep", "other", TTL_S)) == [0, b"sleep", b"nap"]
    assert lab.snapshot() == before


def test_only_ended_runs_are_discarded(lab: Lab) -> None:
    old, queued = failed(lab), lab.queued()
    assert lab(again.discard(lab.keys, queued)) == 0
    assert lab(again.discard(lab.keys, old)) == 1
    assert lab(again.discard(lab.keys, old)) == -1
    assert lab.indexed(old) == set()
    assert lab.members(lab.keys.runs) == [queued]
    assert lab.redis.call("KEYS", f"*{old}") == [lab.keys.seen(FN, f"e{old}").encode()]
