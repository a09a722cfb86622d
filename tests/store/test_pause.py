"""pause.lua and unpause.lua, and what claiming and creating do meanwhile."""

from __future__ import annotations

import pytest
from store.lab import FN, KEEP, Lab

from qflow.store import ending, pause, run
from qflow.store.pause import Resumed


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN, "other")


def held(lab: Lab) -> list[bytes]:
    found: list[bytes] = lab.redis.call("LRANGE", lab.keys.held(FN), 0, -1)
    return found


def unpause(lab: Lab) -> Resumed:
    lab.redis.call("SCRIPT", "FLUSH")
    return pause.unpause(lab.redis, lab.keys, FN)


def test_only_published_functions(lab: Lab) -> None:
    assert lab(pause.pause(lab.keys, FN, "skip")) == 1
    assert lab(pause.pause(lab.keys, FN, "skip")) == 0
    assert lab(pause.pause(lab.keys, FN, "hold")) == 1
    assert lab(pause.pause(lab.keys, "nobody", "skip")) == -1
    assert pause.paused(lab.redis, lab.keys) == {FN: "hold"}


def test_new_runs_are_skipped(lab: Lab) -> None:
    lab(pause.pause(lab.keys, FN, "skip"))
    run_id = lab.queued()
    fields = lab.fields(run_id)
    assert (fields["status"], fields["reason"]) == ("skipped", "its function is paused")
    assert (lab.queue(), held(lab)) == ([], [])
    assert lab.members(lab.keys.by_status("skipped")) == [run_id]
    assert lab.members(lab.keys.by_function(FN, "skipped")) == [run_id]
    assert 0 < lab.ttl(lab.keys.run(run_id)) <= KEEP.ended_s
    assert lab.trace(run_id)[-1]["why"] == "its function is paused"


def test_new_runs_are_held_and_queued_in_their_order(lab: Lab) -> None:
    lab(pause.pause(lab.keys, FN, "hold"))
    runs = [lab.queued() for _ in range(3)]
    assert lab.queue() == []
    assert lab.fields(runs[0])["lane"] == "h|1|0|0||"
    assert lab.indexed(runs[0]) == {"queued"}
    assert unpause(lab) == Resumed(1, 3, 0)
    assert lab.queue() == [f"{run_id}-enter-1" for run_id in runs]
    assert lab.fields(runs[0])["lane"] == "q|1|0|0||"
    assert pause.paused(lab.redis, lab.keys) == {}
    assert unpause(lab) == Resumed(0, 0, 0)


def test_queued_jobs_are_put_aside_when_they_are_claimed(lab: Lab) -> None:
    first, other = lab.queued(), lab.queued("other")
    lab(pause.pause(lab.keys, FN, "skip"))
    lab.beat()
    (claimed,) = lab.claim(count=2)
    assert claimed.run == other
    assert held(lab) == [f"{first}-enter-1".encode()]
    assert lab.fields(first)["lane"] == "h|1|0|0||"
    assert lab.hash(lab.keys.job(f"{first}-enter-1"), lossy=True)["status"] == "deferred"
    assert unpause(lab) == Resumed(1, 1, 0)
    assert [taken.run for taken in lab.claim()] == [first]


def test_a_step_that_is_queued_again_keeps_its_attempts(lab: Lab) -> None:
    first, lane = lab.stepping(deaths=0, attempt=2)
    after = lane.next("q", "send", 2)
    lab(run.giveback(first, lane, after, run.NOTHING, front=False))
    lab(pause.pause(lab.keys, FN, "skip"))
    assert lab.claim() == []
    assert lab.fields(first.run)["lane"] == "h|3|2|0||send"
    unpause(lab)
    assert lab.fields(first.run)["lane"] == "q|3|2|0||send"


def test_a_held_run_can_be_cancelled(lab: Lab) -> None:
    lab(pause.pause(lab.keys, FN, "hold"))
    run_id = lab.queued()
    lab(ending.cancel(lab.keys, ending.Cancel(run_id, "r", "by hand"), KEEP))
    assert held(lab) == []
    assert lab.indexed(run_id) == set()


def test_many_at_a_time_and_what_is_left_counts_as_resuming(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pause, "_BATCH", 2)
    lab(pause.pause(lab.keys, FN, "hold"))
    runs = [lab.queued() for _ in range(3)]
    assert unpause(lab) == Resumed(1, 2, 1)
    assert pause.paused(lab.redis, lab.keys) == {FN: pause.RESUMING}
    later = lab.queued()
    assert lab.queue()[-1] == f"{later}-enter-1", "what comes meanwhile is not held"
    assert unpause(lab) == Resumed(0, 1, 0)
    assert pause.paused(lab.redis, lab.keys) == {}
    assert len(lab.queue()) == len(runs) + 1


def test_what_moved_on_is_not_queued(lab: Lab) -> None:
    lab(pause.pause(lab.keys, FN, "hold"))
    run_id = lab.queued()
    lab.redis.call("HSET", lab.keys.run(run_id), "lane", "e|2|0|0||")
    assert unpause(lab) == Resumed(1, 0, 0)
    assert lab.queue() == []


def test_a_stock_rq_worker_starts_nothing_of_it_either(lab: Lab) -> None:
    first = lab.queued()
    lab(pause.pause(lab.keys, FN, "hold"))
    job = f"{first}-enter-1"
    lab.redis.call("LREM", lab.keys.queue, 0, job)
    assert lab(run.adopt(lab.keys, "rq1", 30_000, job)) == []
    assert held(lab) == [job.encode()]
    assert lab.fields(first)["lane"] == "h|1|0|0||"
    assert unpause(lab) == Resumed(1, 1, 0)
