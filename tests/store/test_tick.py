"""tick.lua: a cron tick starts one run, under the leader's token, of a schedule that still stands."""

from __future__ import annotations

import pytest
from store.lab import FN, KEEP, Lab

from qflow.store import timer
from qflow.store.script import Call

MEMBER = f"{FN}|@hourly|UTC"


@pytest.fixture
def last_ms(lab: Lab) -> int:
    lab.publish(FN, crons=(MEMBER,))
    return timer.schedules(lab.redis, lab.keys)[MEMBER]


def ticking(lab: Lab, token: int, last_ms: int, tick_ms: int) -> Call:
    step = timer.Tick(MEMBER, last_ms, tick_ms, str(tick_ms))
    return timer.tick(lab.keys, token, step, lab.new(), (f"cron:{tick_ms}", "{}"), KEEP)


def test_a_run_for_a_tick(lab: Lab, last_ms: int) -> None:
    token = lab.lead()
    tick_ms = last_ms + 3_600_000
    assert lab(ticking(lab, token, last_ms, tick_ms)) == 1
    (job,) = lab.queue()
    run = job[:26]
    assert lab.fields(run)["event_id"] == f"cron:{tick_ms}"
    assert lab.fields(run)["fn"] == FN
    assert lab.indexed(run) == {"queued"}
    assert timer.schedules(lab.redis, lab.keys) == {MEMBER: tick_ms}
    assert lab.redis.call("LLEN", lab.keys.wake) == 1
    assert lab.redis.call("SISMEMBER", lab.keys.rq_queues, lab.keys.queue) == 1


def test_repeated_it_starts_nothing(lab: Lab, last_ms: int) -> None:
    token = lab.lead()
    call = ticking(lab, token, last_ms, last_ms + 1000)
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == -2
    assert lab.snapshot() == before


def test_the_same_tick_by_another_way_starts_nothing(lab: Lab, last_ms: int) -> None:
    """The schedule was put back, by a restored backup or by hand: the tick is known by its event."""
    token = lab.lead()
    assert lab(ticking(lab, token, last_ms, last_ms + 1000)) == 1
    lab.redis.call("ZADD", lab.keys.cron, last_ms, MEMBER)
    assert lab(ticking(lab, token, last_ms, last_ms + 1000)) == 0
    assert len(lab.queue()) == 1


def test_only_the_leader_ticks(lab: Lab, last_ms: int) -> None:
    token = lab.lead()
    before = lab.snapshot()
    assert lab(ticking(lab, token + 1, last_ms, last_ms + 1000)) == -1
    assert lab.snapshot() == before


def test_a_removed_schedule_fires_nothing(lab: Lab, last_ms: int) -> None:
    token = lab.lead()
    lab.publish(FN)
    before = lab.snapshot()
    assert lab(ticking(lab, token, last_ms, last_ms + 1000)) == -2
    assert lab.snapshot() == before


def test_a_schedule_can_step_on_without_a_run(lab: Lab, last_ms: int) -> None:
    token = lab.lead()
    step = timer.Tick(MEMBER, last_ms, last_ms + 1000, "")
    assert lab(timer.tick(lab.keys, token, step, lab.new(), ("", "{}"), KEEP)) == 0
    assert timer.schedules(lab.redis, lab.keys) == {MEMBER: last_ms + 1000}
    assert lab.queue() == []
