"""fork.lua: steps are opened beside the main lane, each with what backs it; the run is let go of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store.lab import FN, Lab, job_id, wrote

from qflow.core.ids import step_hash
from qflow.store import open as open_steps
from qflow.store import run, script, wait
from qflow.store.open import Opening, Suspension

JOB = {"kind": "run", "attempt": 0, "deaths": 0}
LATE = '{"ok":null}'


def waiting(kind: str, **spec: Any) -> dict[str, Any]:
    note = json.dumps({"t": "wait", "kind": kind})
    return {"kind": kind, "late": LATE, "delay_ms": 0, "due_ms": 0, "note": note, "at": 1, **spec}


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def test_jobs(lab: Lab) -> None:
    held, lane = lab.held()
    assert lab(lab.forking(held, lane, Opening("a", JOB), Opening("b", JOB))) == 1
    jobs = [job_id(held.run, step, 2) for step in "ab"]
    assert lab.queue() == jobs
    assert lab.opened(held.run) == {step_hash(s): f"q|2|0|0||{s}" for s in "ab"}
    fields = lab.fields(held.run)
    assert (fields["lane"], fields["status"], fields["forked"]) == ("w|2|0|0||", "waiting", "1")
    assert lab.indexed(held.run) == {"waiting"}
    assert lab.hash(lab.keys.job(jobs[0]), lossy=True)["status"] == "queued"
    assert lab.redis.call("EXISTS", lab.keys.job(held.job(lane)), lab.keys.lanes("w1")) == 0
    assert lab.members(lab.keys.wip) == []
    assert lab.members(lab.keys.forks) == [held.run]
    assert lab.redis.call("LLEN", lab.keys.wake) == 2 + 1  # and the run's own


def test_repeated_it_changes_nothing(lab: Lab) -> None:
    held, lane = lab.held()
    call = lab.forking(held, lane, Opening("a", JOB), Opening("b", waiting("sleep", delay_ms=99)))
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before


def test_without_letting_go_it_may_be_repeated_at_any_time(lab: Lab) -> None:
    held, lane = lab.stepping()
    call = lab.forking(held, lane, Opening("a", JOB), suspend=False)
    assert lab(call) == 1
    assert lab.fields(held.run)["lane"] == lane.record
    before = lab.snapshot()
    assert lab(call) == 1
    assert lab.snapshot() == before
    (claimed,) = lab.claim("w1")
    assert lab(open_steps.settle(held, claimed.lane, wrote("a"), "")) == 1
    assert lab(call) == 1
    assert lab.opened(held.run) == {}, "what is settled is not opened again"


def test_refused_where_the_lease_was_lost(lab: Lab) -> None:
    held, lane = lab.held()
    other = lane._replace(token=9)
    assert lab(lab.forking(held, other, Opening("a", JOB))) == lane.record.encode()
    assert lab.opened(held.run) == {}


def test_a_finished_step_is_kept(lab: Lab) -> None:
    held, lane = lab.stepping()
    after = lane.next("w", "")
    call = open_steps.fork(
        held, (lane, after), wrote("send"), Suspension(0, False), [Opening("a", JOB)], 700
    )
    assert lab(call) == 1
    assert lab.steps(held.run) == {"send": '{"ok":1}'}
    assert lab.job(held, lane)["status"] == "finished"


def test_a_handler_that_has_not_heard_of_all_is_woken_at_once(lab: Lab) -> None:
    held, lane = lab.held()
    assert lab(lab.forking(held, lane, Opening("a", JOB), suspend=False)) == 1
    (claimed,) = lab.claim("w1")
    assert lab(open_steps.settle(held, claimed.lane, wrote("a"), "")) == 1
    assert lab(lab.forking(held, lane, Opening("b", JOB), known=0)) == 1
    assert lab.fields(held.run)["lane"] == "q|3|0|0||"
    assert lab.queue() == [job_id(held.run, "b", 2), job_id(held.run, "", 3)]


def test_a_handler_that_has_is_not(lab: Lab) -> None:
    held, lane = lab.held()
    assert lab(lab.forking(held, lane, Opening("a", JOB), suspend=False)) == 1
    (claimed,) = lab.claim("w1")
    assert lab(open_steps.settle(held, claimed.lane, wrote("a"), "")) == 1
    assert lab(lab.forking(held, lane, Opening("b", JOB), known=1)) == 1
    assert lab.fields(held.run)["lane"] == "w|2|0|0||"


def test_a_wait_with_a_time_out(lab: Lab) -> None:
    held, lane = lab.held()
    spec = waiting("event", digests=["d1", "d2"], mark="0-0", delay_ms=60_000)
    assert lab(lab.forking(held, lane, Opening("a", spec))) == 1
    member = f"{held.run}:{step_hash('a')}"
    assert lab.members(lab.keys.waiters("d1")) == lab.members(lab.keys.waiters("d2")) == [member]
    assert lab.opened(held.run) == {step_hash("a"): "w|2|0|0||a"}
    assert lab.members(lab.keys.scheduled) == [job_id(held.run, "a", 2)]
    assert lab.fields(held.run)["forked"] == "0"
    lab.redis.call("ZADD", lab.keys.scheduled, 1, job_id(held.run, "a", 2))
    assert lab.due(lab.lead()).count == 1
    assert lab.steps(held.run) == {"a": LATE}
    assert lab.fields(held.run)["lane"] == "q|3|0|0||"
    assert lab.redis.call("EXISTS", lab.keys.waiters("d1"), lab.keys.open(held.run)) == 0


def test_an_event_that_is_there_already_is_looked_at_first(lab: Lab) -> None:
    held, lane = lab.held()
    lab(wait.index(lab.keys, "d1", ["5-1", "5-2"]))
    spec = waiting("event", digests=["d1"], mark="5-1")
    before = lab.snapshot()
    assert lab(lab.forking(held, lane, Opening("a", spec))) == [step_hash("a").encode(), b"5-2"]
    assert lab.snapshot() == before, "nothing is written"
    spec |= {"mark": "5-2", "found": '{"name":"x"}', "found_id": "e5", "before": "5-1"}
    assert lab(lab.forking(held, lane, Opening("a", spec))) == 1
    assert lab.steps(held.run) == {"a": '{"ok":{"name":"x"}}'}
    assert lab.fields(held.run)["lane"] == "q|3|0|0||", "the handler is woken"
    assert lab.hash(lab.keys.waits(held.run)) == {"e:e5": step_hash("a")}


def test_a_found_event_that_another_step_was_given_is_passed(lab: Lab) -> None:
    held, lane = lab.held()
    lab(wait.index(lab.keys, "d1", ["5-1"]))
    lab.redis.call("HSET", lab.keys.waits(held.run), "e:e5", "other")
    spec = waiting("event", digests=["d1"], mark="5-1", found="{}", found_id="e5", before="4-0")
    assert lab(lab.forking(held, lane, Opening("a", spec))) == [step_hash("a").encode(), b"5-1"]


def test_a_signal_has_one_waiter(lab: Lab) -> None:
    held, lane = lab.held()
    spec = waiting("signal", signal="door", refused='{"error":"taken"}')
    assert lab(lab.forking(held, lane, Opening("a", spec), Opening("b", spec))) == 1
    assert lab.redis.call("GET", lab.keys.signal("door")).decode().endswith(step_hash("a"))
    assert lab.steps(held.run) == {"b": '{"error":"taken"}'}


def test_a_child(lab: Lab) -> None:
    held, lane = lab.held()
    child = lab.new().run
    spec = waiting("child", fn=FN, child=child, event='{"name":"i"}', refused="{}")
    unknown = waiting("child", fn="nobody", child="0" * 26, event="{}", refused='{"error":"who"}')
    assert lab(lab.forking(held, lane, Opening("a", spec), Opening("b", unknown))) == 1
    fields = lab.fields(child)
    assert (fields["parent"], fields["parent_step"]) == (held.run, step_hash("a"))
    assert lab.steps(held.run) == {"b": '{"error":"who"}'}
    lab.redis.call("LREM", lab.keys.queue, 0, job_id(held.run, "", 3))
    lab.beat("w2")
    (claimed,) = lab.claim("w2")
    mine = run.Held(lab.keys, child, FN, 0, 500, 90)
    end = run.End("completed", "[1]", 60, "", '{"t":"end"}')
    assert lab(run.finish(mine, claimed.lane, run.NOTHING, end)) == 1
    assert lab.steps(held.run)["a"] == '{"ok":[1]}'


def test_events_are_sent_with_their_result(lab: Lab) -> None:
    held, lane = lab.held()
    events = [["name", "x", "data", "{}", "id", "e1"]]
    spec = {"kind": "send", "events": events, "result": '{"ok":["e1"]}'}
    call = lab.forking(held, lane, Opening("a", spec), Opening("b", JOB))
    length = lab.redis.call("XLEN", lab.keys.events)
    assert lab(call) == 1
    assert lab(call) != 1
    assert lab.redis.call("XLEN", lab.keys.events) == length + 1
    assert lab.steps(held.run) == {"a": '{"ok":["e1"]}'}


def test_what_is_given_up_leaves_nothing(lab: Lab) -> None:
    held, lane = lab.held()
    specs = [
        Opening("a", JOB),
        Opening("b", waiting("signal", signal="door", refused="{}", delay_ms=9999)),
        Opening("c", waiting("event", digests=["d1"], when="true")),
    ]
    assert lab(lab.forking(held, lane, *specs, suspend=False)) == 1
    drops = [Opening(step, {"kind": "drop"}) for step in "abc"]
    assert lab(lab.forking(held, lane, *drops, suspend=False)) == 1
    keys = lab.keys
    gone = [keys.open(held.run), keys.waits(held.run), keys.signal("door"), keys.conditional("d1")]
    assert lab.redis.call("EXISTS", *gone, keys.scheduled) == 0
    assert lab.claim("w1") == [], "its job is dropped by whoever claims it"
    assert script.run(lab.redis, lab.forking(held, lane, *drops, suspend=False)) == 1
