"""deliver.lua, answer.lua, watch.lua, index.lua, signal.lua, send.lua: what comes from outside."""

from __future__ import annotations

import pytest
from store.lab import FN, Lab, wrote
from store.test_fork import waiting

from qflow.core.ids import step_hash
from qflow.store import open as open_steps
from qflow.store import wait
from qflow.store.open import Opening
from qflow.store.wait import Arrived

EVENT = Arrived("7-1", "e7", '{"name":"paid","id":"e7"}')


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def one_waits(lab: Lab, *steps: str, **spec: object) -> str:
    held, lane = lab.held()
    specs = [Opening(step, waiting("event", digests=["d1"], **spec)) for step in steps or "a"]
    assert lab(lab.forking(held, lane, *specs)) == 1
    return held.run


def test_deliver_in_pages(lab: Lab) -> None:
    runs = [one_waits(lab) for _ in range(3)]
    assert lab(wait.deliver(lab.keys, "d1", EVENT, (0, 2), 500)) == [2, 0, 0]
    assert lab(wait.deliver(lab.keys, "d1", EVENT, (0, 2), 500)) == [1, -1, 0]
    for run_id in runs:
        assert lab.steps(run_id) == {"a": f'{{"ok":{EVENT.text}}}'}
        assert lab.fields(run_id)["status"] == "queued"
        assert lab.trace(run_id)[-1]["ok"] is True
    assert lab.members(lab.keys.recent("d1")) == ["7-1"]
    assert 0 < lab.ttl(lab.keys.recent("d1")) <= 86400
    before = lab.snapshot()
    assert lab(wait.deliver(lab.keys, "d1", EVENT, (0, 2), 500)) == [0, -1, 0]
    assert lab.snapshot().keys() == before.keys()


def test_one_event_never_settles_two_steps_of_a_run(lab: Lab) -> None:
    run_id = one_waits(lab, "a", "b")
    assert lab(wait.deliver(lab.keys, "d1", EVENT, (0, 9), 500)) == [1, -1, 0]
    assert lab(wait.deliver(lab.keys, "d1", EVENT, (0, 9), 500)) == [0, -1, 0]
    assert len(lab.steps(run_id)) == 1
    other = EVENT._replace(entry="8-1", event_id="e8")
    assert lab(wait.deliver(lab.keys, "d1", other, (0, 9), 500)) == [1, -1, 0]


def test_the_run_s_own_trigger_never_does(lab: Lab) -> None:
    run_id = one_waits(lab)
    own = EVENT._replace(event_id=lab.fields(run_id)["event_id"])
    assert lab(wait.deliver(lab.keys, "d1", own, (0, 9), 500)) == [0, -1, 0]


def test_those_of_another_value_are_left_alone(lab: Lab) -> None:
    run_id = one_waits(lab)
    assert lab(wait.deliver(lab.keys, "d2", EVENT, (0, 9), 500)) == [0, -1, 0]
    assert lab.fields(run_id)["status"] == "waiting"


def test_the_newest_thousand_are_kept(lab: Lab) -> None:
    assert lab(wait.index(lab.keys, "d1", [f"{n}-0" for n in range(1, 1011)])) == 1010
    kept = lab.members(lab.keys.recent("d1"))
    assert (len(kept), kept[0]) == (1000, "11-0")


def test_answer(lab: Lab) -> None:
    run_id = one_waits(lab, when="async.data.x")
    member = f"{run_id}:{step_hash('a')}"
    assert lab.members(lab.keys.conditional("d1")) == [member]
    call = wait.answer(lab.keys, run_id, member, ("e7", EVENT.text), 500)
    assert lab(call) == 1
    assert lab(call) == 0
    assert lab.redis.call("EXISTS", lab.keys.conditional("d1"), lab.keys.open(run_id)) == 0


def test_watch(lab: Lab) -> None:
    since = lab(wait.watch(lab.keys, "paid", "data.id"))
    assert abs(since - lab.now_ms) < 5000
    assert lab(wait.watch(lab.keys, "paid", "data.id")) == since
    lab(wait.watch(lab.keys, "paid", ""))
    assert wait.paths(lab.redis, lab.keys) == {"paid": ("data.id", "")}


def test_a_router_that_does_not_know_the_paths_is_told(lab: Lab) -> None:
    entry, start, version = lab.entry(), lab.new(), lab.version
    lab(wait.watch(lab.keys, "go", ""))
    assert lab(lab.starting(entry, "e1", start, version=version)) == -1
    lab(wait.watch(lab.keys, "go", ""))
    assert lab(lab.starting(entry, "e1", start)) == 1


def test_signal(lab: Lab) -> None:
    held, lane = lab.held()
    spec = waiting("signal", signal="door", refused="{}", approval={"title": "?"})
    assert lab(lab.forking(held, lane, Opening("a", spec))) == 1
    assert lab.members(lab.keys.approvals) == [f"{held.run}:{step_hash('a')}"]
    call = wait.signal(lab.keys, "door", "id1", '{"ok":5}', 500)
    assert lab(call) == 1
    assert lab(call) == 1, "a lost reply"
    assert lab(wait.signal(lab.keys, "door", "id2", '{"ok":6}', 500)) == 0
    assert lab.steps(held.run) == {"a": '{"ok":5}'}
    assert lab.redis.call("EXISTS", lab.keys.approvals, lab.keys.signal("door")) == 0


def test_send(lab: Lab) -> None:
    held, lane = lab.stepping()
    after = lane.next("s", "")
    events = [["name", "x", "data", "{}", "id", f"e{n}"] for n in range(2)]
    call = open_steps.send(held, (lane, after), wrote("send", '{"ok":["e0"]}'), events)
    length = lab.redis.call("XLEN", lab.keys.events)
    assert lab(call) == 1
    assert lab(call) == 2
    assert lab.redis.call("XLEN", lab.keys.events) == length + 2
    assert lab.fields(held.run)["lane"] == after.record
    assert lab.steps(held.run) == {"send": '{"ok":["e0"]}'}
    assert lab.job(held, lane)["status"] == "finished"
    assert lab.job(held, after)["status"] == "started"
    assert lab(call._replace(args=[*call.args[:2], "s|9|0|0|w1|x", *call.args[3:]])) == 2
