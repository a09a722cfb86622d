"""finish.lua: a run ends, and its keys begin to expire."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, Lab, wrote

from qflow.store import run
from qflow.store.run import End

COMPLETED = End("completed", "[1]", 700, "", '{"t":"end","status":"completed"}')
FAILED = End("failed", '{"name":"E"}', 900, "Traceback", '{"t":"end","status":"failed"}')


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


@pytest.mark.parametrize("end", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_it_ends(lab: Lab, end: End) -> None:
    held, lane = lab.stepping()
    assert lab(run.finish(held, lane, wrote("send"), end)) == 1
    fields = lab.fields(held.run)
    assert (fields["status"], fields["lane"]) == (end.status, "e|3|0|0||send")
    assert fields["output" if end is COMPLETED else "error"] == end.text
    assert ("output" in fields) != ("error" in fields)
    assert lab.now_ms - int(fields["ended"]) < 5000
    assert lab.steps(held.run) == {"send": '{"ok":1}'}
    assert [told["t"] for told in lab.trace(held.run)] == ["claim", "step", "end"]
    for key in held.run_keys:
        assert end.retention_s - 3 < lab.ttl(key) <= end.retention_s
    assert lab.indexed(held.run) == {end.status}
    assert lab.redis.call("EXISTS", lab.keys.lanes("w1")) == 0
    assert lab.members(lab.keys.wip) == []
    job = held.job(lane)
    failed = end is FAILED
    assert lab.job(held, lane)["status"] == ("failed" if failed else "finished")
    assert (job in lab.members(lab.keys.failed)) == failed
    assert (job in lab.members(lab.keys.finished)) != failed
    assert 0 < lab.ttl(lab.keys.job(job)) <= TTL_S
    assert lab.redis.call("XLEN", lab.keys.results(job)) == int(failed)


@pytest.mark.parametrize("end", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_repeated_after_a_lost_reply(lab: Lab, end: End) -> None:
    held, lane = lab.stepping()
    call = run.finish(held, lane, wrote("send"), end)
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == 2
    assert lab.snapshot() == before


def test_refused_where_the_lease_was_lost(lab: Lab) -> None:
    held, lane = lab.stepping()
    lab.redis.call("HSET", lab.keys.run(held.run), "lane", "s|3|1|1|w2|send")
    before = lab.snapshot()
    assert lab(run.finish(held, lane, wrote("send"), COMPLETED)) == b"s|3|1|1|w2|send"
    assert lab.snapshot() == before
    assert lab.counter("fenced") == 1


def test_large_results(lab: Lab) -> None:
    held, lane = lab.stepping()
    large = '{"ok":"' + "x" * 4 * 1024 * 1024 + '"}'
    assert lab(run.finish(held, lane, wrote("send", large), COMPLETED)) == 1
    assert lab.steps(held.run)["send"] == large
