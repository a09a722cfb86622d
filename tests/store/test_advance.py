"""advance.lua: steps are kept and their jobs closed, for many runs at once; runs that are done end."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, Lab, advancing, wrote

from qflow.store import run, script
from qflow.store.run import Held, Lane, Standing


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def short(lab: Lab, step: str = "send") -> tuple[Held, Lane]:
    """A run whose worker has committed one step and executes the next, which has no job yet."""
    held, lane = lab.stepping(step="before")
    following = lane.next("s", step)
    assert lab(advancing(held, lane, following, wrote("before"))) == [1]
    return held, following


def test_a_long_step_is_kept_and_its_job_closed(lab: Lab) -> None:
    held, lane = lab.stepping()
    following = lane.next("s", "second")
    assert lab(advancing(held, lane, following, wrote("send"))) == [1]
    assert lab.steps(held.run) == {"send": '{"ok":1}'}
    assert lab.fields(held.run)["lane"] == following.record == "s|3|0|0|w1|second"
    assert lab.trace(held.run)[-1]["id"] == "send"
    closed = lab.job(held, lane)
    assert closed["status"] == "finished" and closed["ended_at"].endswith("Z")
    assert 0 < lab.ttl(lab.keys.job(held.job(lane))) <= TTL_S
    assert held.job(lane) in lab.members(lab.keys.finished)
    assert lab.members(lab.keys.wip) == []
    assert lab.job(held, following) == {}, "written when it ends, or when it takes long"
    assert lab.indexed(held.run) == {"running"}


def test_a_short_step_s_job_is_written_as_a_whole(lab: Lab) -> None:
    long_held, long_lane = lab.stepping()
    lab(advancing(long_held, long_lane, long_lane.next("s", "x"), wrote("send")))
    held, lane = short(lab)
    began_ms = lab.now_ms - 3
    call = advancing(held, lane, lane.next("s", "x"), wrote("send"), began_ms=began_ms)
    assert lab(call) == [1]
    job = lab.job(held, lane)
    assert job.keys() == lab.job(long_held, long_lane).keys()
    assert job["status"] == "finished" and job["description"] == f"{FN}/send"
    assert job["started_at"] == job["created_at"] < job["ended_at"]
    assert job["started_at"][20:] == f"{began_ms % 1000:03}000Z"
    assert 0 < lab.ttl(lab.keys.job(held.job(lane))) <= TTL_S
    assert held.job(lane) in lab.members(lab.keys.finished)


def test_a_step_that_began_in_another_second(lab: Lab) -> None:
    held, lane = short(lab)
    call = advancing(held, lane, lane.next("s", "x"), wrote("send"), began_ms=951_782_400_123)
    assert lab(call) == [1]
    assert lab.job(held, lane)["started_at"] == "2000-02-29T00:00:00.123000Z"


def test_a_first_step_closes_the_job_that_entered_the_handler(lab: Lab) -> None:
    held, entered = lab.held()
    lane = entered.next("s", "send")
    standing = Standing(entered.record)
    standing.entered, standing.opened, standing.began_ms = held.job(entered), False, lab.now_ms
    following = lane.next("s", "second")
    assert lab(run.advance(held, lane, standing, following.record, wrote("send"), 700)) == [1]
    assert lab.fields(held.run)["lane"] == following.record
    assert set(lab.members(lab.keys.finished)) == {held.job(entered), held.job(lane)}
    assert lab.members(lab.keys.wip) == []
    assert {lab.job(held, each)["status"] for each in (entered, lane)} == {"finished"}


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_the_run_ends(lab: Lab, long: bool) -> None:
    held, lane = lab.stepping() if long else short(lab)
    ended = lane.next("e", "send")
    began_ms = 0 if long else lab.now_ms
    call = advancing(held, lane, ended, wrote("send"), began_ms=began_ms, output="[1]")
    assert lab(call) == [1]
    fields = lab.fields(held.run)
    assert (fields["status"], fields["lane"], fields["output"]) == (
        "completed",
        ended.record,
        "[1]",
    )
    assert lab.now_ms - int(fields["ended"]) < 5000
    assert [told["t"] for told in lab.trace(held.run)][-2:] == ["step", "end"]
    for key in held.run_keys:
        assert 697 < lab.ttl(key) <= 700
    assert lab.indexed(held.run) == {"completed"}
    assert lab.redis.call("EXISTS", lab.keys.lanes("w1"), lab.keys.wip) == 0
    score = lab.redis.call("ZSCORE", lab.keys.by_status("completed"), held.run)
    assert float(score) == float(fields["created"]) > 0
    before = lab.snapshot()
    assert lab(call) == [2]
    assert lab.snapshot() == before


def test_a_run_without_steps_ends(lab: Lab) -> None:
    held, lane = lab.held()
    assert lab(advancing(held, lane, lane.next("e", ""), run.NOTHING, output="null")) == [1]
    assert lab.steps(held.run) == {}
    assert lab.indexed(held.run) == {"completed"}
    assert lab.job(held, lane)["status"] == "finished"


def test_each_run_of_a_batch_is_written_or_refused_by_itself(lab: Lab) -> None:
    several = [lab.stepping() for _ in range(4)]
    lost, _ = several[1]
    lab.redis.call("HSET", lab.keys.run(lost.run), "lane", "s|9|1|1|w2|send")
    repeated, _ = several[2]
    calls = [
        advancing(held, lane, lane.next("s", f"next {n}"), wrote("send"))
        for n, (held, lane) in enumerate(several[:3])
    ]
    assert lab(calls[2]) == [1]
    held, lane = several[3]
    calls.append(advancing(held, lane, lane.next("e", "send"), wrote("send"), output="1"))
    before = [lab.fields(each.run) for each in (lost, repeated)]
    assert script.run_all(lab.redis, calls) == [[1], [b"s|9|1|1|w2|send"], [2], [1]]
    assert [lab.fields(each.run) for each in (lost, repeated)] == before
    assert lab.steps(lost.run) == {}
    assert lab.steps(several[0][0].run) == lab.steps(held.run) == {"send": '{"ok":1}'}
    assert lab.counter("fenced") == 1
    lab.redis.call("DEL", lab.keys.wip)


def test_a_broken_run_keeps_no_other_from_being_written(lab: Lab) -> None:
    (held, lane), (broken, broken_lane) = lab.stepping(), lab.stepping()
    lab.redis.call("DEL", lab.keys.run(broken.run))
    lab.redis.call("SET", lab.keys.run(broken.run), "no hash", "EX", 60)
    calls = [
        advancing(each, at, at.next("s", "next"), wrote("send"))
        for each, at in ((broken, broken_lane), (held, lane))
    ]
    replies = script.run_all(lab.redis, calls)
    assert "WRONGTYPE" in str(replies[0])
    assert replies[1] == [1]
    assert lab.steps(held.run) == {"send": '{"ok":1}'}
    lab.redis.call("DEL", lab.keys.wip, *broken.run_keys, lab.keys.job(broken.job(broken_lane)))


def test_large_results(lab: Lab) -> None:
    held, lane = lab.stepping()
    large = '{"ok":"' + "x" * 4 * 1024 * 1024 + '"}'
    assert lab(advancing(held, lane, lane.next("s", "next"), wrote("send", large))) == [1]
    assert lab.steps(held.run)["send"] == large
