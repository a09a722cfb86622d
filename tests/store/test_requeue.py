"""requeue.lua, retime.lua: jobs and timers that somebody else lost are put back, wherever they are."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, Lab, wrote

from qflow.core.ids import step_hash
from qflow.store import run
from qflow.store.lost import Missing, Search, requeue, retime
from qflow.store.open import Opening
from qflow.store.run import Wait


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def missing(lab: Lab) -> list[Missing]:
    """What a search finds that has walked over everything."""
    return Search(lab.redis, lab.keys, TTL_S).page(lab.now_ms + 1000)


def test_what_left_the_queue_goes_back_once(lab: Lab) -> None:
    lab.queued()
    kept = lab.redis.call("LRANGE", lab.keys.queue, 0, -1)
    assert missing(lab) == []
    lab.redis.call("DEL", lab.keys.queue)
    (found,) = missing(lab)
    assert Search(lab.redis, lab.keys, TTL_S).page(1) == [], "not yet long enough"
    assert lab(requeue(found)) == 1
    assert lab.redis.call("LRANGE", lab.keys.queue, 0, -1) == kept
    before = lab.snapshot()
    assert lab(requeue(found)) == 0
    assert lab.snapshot() == before


def test_a_run_that_moved_on_is_left_alone(lab: Lab) -> None:
    lab.queued()
    lab.redis.call("DEL", lab.keys.queue)
    (found,) = missing(lab)
    assert lab(requeue(found._replace(lane=found.lane.next("q", "")))) == 0
    assert lab.redis.call("LLEN", lab.keys.queue) == 0


def test_every_lost_job_is_found_however_many_wait(lab: Lab) -> None:
    """Behind thousands of others in the queue and in the index, in a bounded number of bounded looks."""
    lost = lab.queued()
    lab.redis.call("DEL", lab.keys.queue)
    others = [f"{number:026d}" for number in range(5000)]
    lab.redis.call("RPUSH", lab.keys.queue, *(f"{other}-enter-1" for other in others))
    scored = [part for other in others for part in (1, other)]
    lab.redis.call("ZADD", lab.keys.by_status("queued"), *scored)
    fields = ("lane", "q|1|0|0||", "fn", FN, "queued", "1")
    lab.redis.pipeline([("HSET", lab.keys.run(other), *fields) for other in others])
    lab.redis.pipeline([("EXPIRE", lab.keys.run(other), 60) for other in others])
    search = Search(lab.redis, lab.keys, TTL_S)
    pages = [search.page(lab.now_ms + 1000) for _ in range(10)]
    found = {each.held.run for page in pages for each in page}
    assert found == {lost}
    assert not any(len(page) > 1 for page in pages)
    assert search.length == 5000


def test_a_sleep_whose_timer_is_gone(lab: Lab) -> None:
    held, lane = lab.stepping()
    napping = lane.next("d", "nap")
    wait = Wait(0, 2_000_000_000_000, 0, "", '{"t":"sleep","id":"nap"}')
    assert lab(run.delay(held, lane, napping, wrote("send"), wait)) == 1
    assert missing(lab) == []
    lab.redis.call("DEL", lab.keys.scheduled, lab.keys.job(held.job(napping)))
    (found,) = missing(lab)
    assert found.is_timer
    assert lab(retime(found)) == 1
    assert float(lab.redis.call("ZSCORE", lab.keys.scheduled, held.job(napping))) == 2_000_000_000
    assert lab.job(held, napping)["status"] == "scheduled"
    before = lab.snapshot()
    assert lab(retime(found)) == 0
    assert lab.snapshot() == before
    assert missing(lab) == []


def test_a_timer_that_stock_rq_scheduler_has_just_queued_is_not_gone(lab: Lab) -> None:
    held, lane = lab.stepping()
    napping = lane.next("d", "nap")
    wait = Wait(60_000, 0, 0, "", '{"t":"sleep","id":"nap"}')
    assert lab(run.delay(held, lane, napping, wrote("send"), wait)) == 1
    lab.redis.call("DEL", lab.keys.scheduled)
    (found,) = missing(lab)
    lab.redis.call("RPUSH", lab.keys.queue, held.job(napping))
    assert lab(retime(found)) == 0


def test_open_steps_whose_timers_are_gone(lab: Lab) -> None:
    """A time-out is set for its own time; a wait without one has none; a retry is made at once."""
    held, lane = lab.held()
    wait = {"kind": "signal", "note": "{}", "refused": "{}", "late": '{"ok":null}'}
    soon, never = {"delay_ms": 0, "due_ms": 2_000_000_000_000}, {"delay_ms": 0, "due_ms": 0}
    openings = [
        Opening("a", {**wait, **soon, "signal": "a"}),
        Opening("b", {**wait, **never, "signal": "b"}),
        Opening("c", {"kind": "run", "attempt": 0, "deaths": 0}),
    ]
    assert lab(lab.forking(held, lane, *openings)) == 1
    record = lab.opened(held.run)[step_hash("c")]
    lab.redis.call("HSET", lab.keys.open(held.run), step_hash("c"), "d" + record[1:])
    lab.redis.call("DEL", lab.keys.scheduled, lab.keys.queue)
    found = {each.lane.step: each for each in missing(lab)}
    assert sorted(found) == ["a", "c"]
    assert [lab(retime(found[step])) for step in "ac"] == [1, 1]
    due = {
        step: float(lab.redis.call("ZSCORE", lab.keys.scheduled, held.job(found[step].lane)))
        for step in "ac"
    }
    assert due["a"] == 2_000_000_000
    assert due["c"] <= lab.now_ms / 1000
    assert missing(lab) == []
