"""cancel.lua, unpause.lua, hasten.lua and again.lua on open steps; fork.lua and settle.lua after them."""

from __future__ import annotations

import json

import pytest
from store.lab import FN, KEEP, TTL_S, Lab, job_id, wrote
from store.test_fork import JOB, waiting

from qflow.core.ids import step_hash
from qflow.store import again, ending, pause, run
from qflow.store import open as open_steps
from qflow.store.again import Anew, Kept
from qflow.store.open import Opening
from qflow.store.run import Held, Lane


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def forked(lab: Lab, *openings: Opening) -> Held:
    held, lane = lab.held()
    assert lab(lab.forking(held, lane, *openings)) == 1
    return held


def cancel(lab: Lab, run_id: str) -> None:
    call = ending.cancel(lab.keys, ending.Cancel(run_id, "r", "by hand"), KEEP)
    assert lab(call) == [1, FN.encode()]
    before = lab.snapshot()
    assert lab(call) == [1, FN.encode()]
    assert lab.snapshot() == before


def test_cancelling_drops_open_steps(lab: Lab) -> None:
    door = waiting("signal", signal="door", refused="{}", delay_ms=60_000)
    held = forked(lab, Opening("a", JOB), Opening("b", JOB), Opening("door", door))
    (claimed,) = lab.claim()
    cancel(lab, held.run)
    keys = lab.keys
    assert lab.opened(held.run) == {}
    assert lab.members(keys.scheduled) == lab.members(keys.wip) == lab.members(keys.forks) == []
    assert lab.redis.call("EXISTS", keys.signal("door"), keys.lanes("w1")) == 0
    late = open_steps.settle(held, claimed.lane, wrote("a"), "")
    before = lab.snapshot()
    assert lab(late) == run.CANCELLED
    assert (
        lab(open_steps.release(held, (claimed.lane, claimed.lane.next("d", "a")), 0))
        == run.CANCELLED
    )
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 0
    assert lab.claim() == [], "what is left in the queue is dropped"


def test_cancelling_settles_the_step_that_invoked(lab: Lab) -> None:
    child = lab.new().run
    spec = waiting("child", fn=FN, child=child, event='{"name":"i"}', refused="{}", terms="")
    held = forked(lab, Opening("call", spec))
    cancel(lab, child)
    assert "RunCancelled" in lab.steps(held.run)["call"]
    assert lab.fields(held.run)["lane"].startswith("q|")
    assert lab.queue() == [f"{held.run}-enter-3"]


def test_what_may_end_an_invoked_run(lab: Lab) -> None:
    child, terms = lab.new().run, json.dumps({"finish": 60_000})
    spec = waiting("child", fn=FN, child=child, event='{"name":"i"}', refused="{}", terms=terms)
    forked(lab, Opening("call", spec))
    assert lab.members(lab.keys.deadlines) == [f"finish|60000|{child}"]


def test_an_invoked_run_is_skipped_where_its_function_is_paused(lab: Lab) -> None:
    held, lane = lab.held()
    lab(pause.pause(lab.keys, FN, "skip"))
    child = lab.new().run
    spec = waiting("child", fn=FN, child=child, event='{"name":"i"}', refused="{}", terms="")
    assert lab(lab.forking(held, lane, Opening("call", spec))) == 1
    assert lab.fields(child)["status"] == "skipped"
    assert "RunSkipped" in lab.steps(held.run)["call"]
    assert lab.fields(held.run)["lane"] == "q|3|0|0||"


def test_open_steps_are_held_and_queued_again(lab: Lab) -> None:
    held = forked(lab, Opening("a", JOB), Opening("b", JOB))
    jobs = [job_id(held.run, step, 2) for step in "ab"]
    lab(pause.pause(lab.keys, FN, "hold"))
    assert lab.claim() == []
    lab.redis.call("LREM", lab.keys.queue, 0, jobs[1])
    assert lab(run.adopt(lab.keys, "rq1", 30_000, jobs[1])) == []
    assert lab.opened(held.run) == {step_hash(s): f"h|2|0|0||{s}" for s in "ab"}
    assert lab.fields(held.run)["lane"] == "w|2|0|0||"
    lab.redis.call("SCRIPT", "FLUSH")
    assert pause.unpause(lab.redis, lab.keys, FN).queued == 2
    assert lab.queue() == jobs
    assert lab.opened(held.run) == {step_hash(s): f"q|2|0|0||{s}" for s in "ab"}
    assert len(lab.claim(count=2)) == 2


def test_open_steps_go_on_now(lab: Lab) -> None:
    naps = [Opening(nap, waiting("sleep", delay_ms=60_000)) for nap in ("nap", "doze")]
    held = forked(lab, Opening("a", JOB), *naps)
    (claimed,) = lab.claim()
    after = claimed.lane.next("d", "a", 1)
    note = '{"t":"retry","id":"a"}'
    assert lab(open_steps.reopen(held, (claimed.lane, after), "x", 60_000, note)) == 1

    def hasten(what: str, step: str = "") -> list[object]:
        return list(lab(again.hasten(lab.keys, held.run, what, step, TTL_S)))

    assert hasten("sleep", "a") == [0, b"retry", b"a"]
    assert hasten("sleep", "nap") == [1, b"nap"]
    assert hasten("sleep") == [1, b"doze"]
    assert hasten("retry") == [1, b"a"]
    assert lab.members(lab.keys.scheduled) == []
    assert lab.opened(held.run) == {step_hash("a"): "q|3|1|0||a"}
    assert lab.steps(held.run) == {"nap": '{"ok":null}', "doze": '{"ok":null}'}
    assert sorted(lab.queue()) == sorted([job_id(held.run, "a", 3), f"{held.run}-enter-3"])
    assert hasten("retry") == [-1, b"queued"]


def test_a_run_again_keeps_the_order(lab: Lab) -> None:
    held = forked(lab, *(Opening(step, JOB) for step in "abc"))
    for claimed in reversed(lab.claim(count=3)):
        step = claimed.lane.step
        assert (
            lab(open_steps.settle(held, claimed.lane, wrote(step, f'{{"ok":"{step}"}}'), "")) == 1
        )
    start = lab.new()
    kept = [Kept(step, f'{{"t":"step","id":"{step}"}}') for step in "ca"]
    assert lab(again.again(lab.keys, Anew(held.run, start, "", ""), KEEP, kept)) == 1
    assert lab.redis.call("LRANGE", lab.keys.order(start.run), 0, -1) == [b"c", b"a"]
    fields = lab.fields(start.run)
    assert (fields["forked"], fields["settled"]) == ("1", "2")
    assert lab.steps(start.run) == {"a": '{"ok":"a"}', "c": '{"ok":"c"}'}


def test_a_fork_of_a_cancelled_run_is_refused(lab: Lab) -> None:
    held, lane = lab.held()
    cancel(lab, held.run)
    before = lab.snapshot()
    assert lab(lab.forking(held, lane, Opening("a", JOB))) == run.CANCELLED
    assert lab(lab.forking(held, lane, Opening("a", JOB), suspend=False)) == run.CANCELLED
    assert lab.snapshot() == before
    assert Lane.parse(lab.fields(held.run)["lane"]).state == "e"
