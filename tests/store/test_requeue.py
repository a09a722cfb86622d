"""requeue.lua: a queued run's job goes back into the queue that lost it."""

from __future__ import annotations

from store.lab import FN, TTL_S, Lab

from qflow.store import run


def test_what_left_the_queue_goes_back_once(lab: Lab) -> None:
    lab.publish(FN)
    lab.queued()
    kept = lab.redis.call("LRANGE", lab.keys.queue, 0, -1)
    later = lab.now_ms + 1000
    assert run.lost(lab.redis, lab.keys, later, TTL_S) == []
    lab.redis.call("DEL", lab.keys.queue)
    ((held, lane, _),) = run.lost(lab.redis, lab.keys, later, TTL_S)
    assert run.lost(lab.redis, lab.keys, 1, TTL_S) == [], "not yet long enough"
    assert lab(run.requeue(held, lane, "")) == 1
    assert lab.redis.call("LRANGE", lab.keys.queue, 0, -1) == kept
    before = lab.snapshot()
    assert lab(run.requeue(held, lane, "")) == 0
    assert lab.snapshot() == before


def test_a_run_that_moved_on_is_left_alone(lab: Lab) -> None:
    lab.publish(FN)
    lab.queued()
    lab.redis.call("DEL", lab.keys.queue)
    ((held, lane, _),) = run.lost(lab.redis, lab.keys, lab.now_ms + 1000, TTL_S)
    assert lab(run.requeue(held, lane.next("q", ""), "")) == 0
    assert lab.redis.call("LLEN", lab.keys.queue) == 0
