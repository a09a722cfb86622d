"""due.lua: what is due goes to the queue, under the leader's token only."""

from __future__ import annotations

import pytest
from store.lab import FN, Lab, wrote

from qflow.store import lease, run
from qflow.store.run import Held, Lane, Wait


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def delayed(lab: Lab, due_ms: int) -> tuple[Held, Lane]:
    """A run whose next job is due then."""
    held, lane = lab.stepping()
    after = lane.next("d", "nap")
    wait = Wait(0, due_ms, 0, "", "{}")
    assert lab(run.delay(held, lane, after, wrote("send"), wait)) == 1
    return held, after


def test_due_jobs_move_in_their_order_and_the_rest_stays(lab: Lab) -> None:
    now = lab.now_ms
    late, early, later = (delayed(lab, now + off) for off in (-10, -5000, 60_000))
    token = lab.lead()
    moved = lab.due(token)
    assert moved.count == 2
    assert moved.next_ms == now + 60_000
    assert abs(moved.now_ms - lab.now_ms) < 5000
    assert lab.queue() == [held.job(lane) for held, lane in (early, late)]
    assert lab.members(lab.keys.scheduled) == [later[0].job(later[1])]
    held, lane = early
    fields = lab.fields(held.run)
    assert (fields["status"], fields["lane"]) == ("queued", "q|3|0|0||nap")
    assert "due" not in fields
    assert int(fields["queued"]) >= now
    assert lab.indexed(held.run) == {"queued"}
    assert lab.job(held, lane)["status"] == "queued"
    assert lab.redis.call("LLEN", lab.keys.wake) > 0
    lab.beat("w2")
    assert {claimed.run for claimed in lab.claim("w2", 9)} == {early[0].run, late[0].run}


def test_repeated_it_moves_nothing_twice(lab: Lab) -> None:
    delayed(lab, lab.now_ms - 10)
    token = lab.lead()
    assert lab.due(token).count == 1
    before = lab.snapshot()
    assert lab.due(token)[::2] == (0, -1)
    assert lab.snapshot() == before


def test_only_the_leader_moves(lab: Lab) -> None:
    delayed(lab, lab.now_ms - 10)
    old = lab.lead("s1")
    lease.lead(lab.redis, lab.keys, "s1", 1000, resign=True)
    new = lab.lead("s2")
    assert new > old
    before = lab.snapshot()
    assert lab.due(old).count == -1
    assert lab.snapshot() == before
    assert lab.due(new).count == 1


def test_batches(lab: Lab) -> None:
    now = lab.now_ms
    for n in range(5):
        delayed(lab, now - 1000 + n)
    token = lab.lead()
    first = lab.due(token, 2)
    assert first.count == 2
    assert first.next_ms <= first.now_ms, "come again at once"
    assert lab.due(token, 2).count == 2
    assert lab.due(token, 2).count == 1


def test_foreign_jobs_are_left_alone(lab: Lab) -> None:
    """In the default namespace the set is rq-scheduler's own, and others use it too."""
    held, lane = delayed(lab, lab.now_ms - 10)
    for n in range(30):
        lab.redis.call("ZADD", lab.keys.scheduled, n, f"0b9f7a0e-aaaa-bbbb-cccc-{n:012}")
    assert lab.due(lab.lead(), 10).count == 1
    assert lab.queue() == [held.job(lane)]
    assert lab.redis.call("ZCARD", lab.keys.scheduled) == 30
    lab.redis.call("DEL", lab.keys.scheduled)


def test_a_leftover_of_a_run_that_moved_on_is_removed(lab: Lab) -> None:
    held, lane = lab.stepping()
    lab.redis.call("ZADD", lab.keys.scheduled, 1, held.job(lane))
    before = lab.fields(held.run)
    assert lab.due(lab.lead()).count == 0
    assert lab.members(lab.keys.scheduled) == []
    assert lab.fields(held.run) == before
    assert lab.queue() == []
