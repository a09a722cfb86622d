"""overdue.lua: deadlines take effect when they come, for whoever is not further by then."""

from __future__ import annotations

import json

import pytest
from store.lab import FN, KEEP, Lab

from qflow.store import ending
from qflow.store.ending import Overdue
from qflow.store.stream import Start


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def start(lab: Lab, **terms: int) -> str:
    new = Start(*lab.new()[:4], json.dumps(terms))
    assert lab(lab.starting(lab.entry(), f"e{new.run}", new)) == 1
    return new.run


def claim(lab: Lab) -> None:
    lab.beat()
    assert len(lab.claim()) == 1


def look(lab: Lab, token: int) -> Overdue:
    lab.redis.call("SCRIPT", "FLUSH")
    return ending.overdue(lab.redis, lab.keys, token, 100, KEEP)


def let_pass(lab: Lab, run_id: str, kind: str, span: int) -> None:
    """Make a deadline due now."""
    member = f"{kind}|{span}|{run_id}"
    assert lab.redis.call("ZADD", lab.keys.deadlines, "XX", "CH", lab.now_ms, member) == 1


def test_nothing_is_due(lab: Lab) -> None:
    run_id = start(lab, start=60_000)
    found = look(lab, lab.lead())
    assert found.cancelled == []
    created = int(lab.fields(run_id)["created"])
    assert found.next_ms == created + 60_000
    assert lab.redis.call("LLEN", lab.keys.wake_timer) == 1, "the leader hears of an earlier one"


def test_a_run_that_did_not_start(lab: Lab) -> None:
    run_id = start(lab, start=60_000)
    let_pass(lab, run_id, "start", 60_000)
    assert look(lab, lab.lead()) == Overdue(-1, [(FN, run_id)])
    fields = lab.fields(run_id)
    assert (fields["status"], fields["reason"]) == ("cancelled", "it did not start within 60 s")
    assert lab.queue() == []
    assert look(lab, lab.lead()) == Overdue(-1, [])


def test_a_run_that_started_in_time(lab: Lab) -> None:
    run_id = start(lab, start=60_000)
    claim(lab)
    let_pass(lab, run_id, "start", 60_000)
    assert look(lab, lab.lead()) == Overdue(-1, [])
    assert lab.fields(run_id)["status"] == "running"
    assert lab.redis.call("EXISTS", lab.keys.deadlines) == 0


def test_the_finish_counts_from_the_start(lab: Lab) -> None:
    run_id = start(lab, finish=60_000)
    let_pass(lab, run_id, "finish", 60_000)
    before = lab.now_ms
    found = look(lab, lab.lead())
    assert found.cancelled == []
    assert before + 60_000 <= found.next_ms <= lab.now_ms + 60_000
    claim(lab)
    let_pass(lab, run_id, "finish", 60_000)
    started = int(lab.fields(run_id)["started"])
    assert look(lab, lab.lead()) == Overdue(started + 60_000, [])
    lab.redis.call("HSET", lab.keys.run(run_id), "started", lab.now_ms - 60_000)
    let_pass(lab, run_id, "finish", 60_000)
    assert look(lab, lab.lead()) == Overdue(-1, [(FN, run_id)])
    assert lab.fields(run_id)["reason"] == "it did not finish within 60 s"


def test_who_does_not_lead_changes_nothing(lab: Lab) -> None:
    run_id = start(lab, start=60_000)
    let_pass(lab, run_id, "start", 60_000)
    token = lab.lead()
    before = lab.snapshot()
    assert look(lab, token + 1) == Overdue(-1, [])
    assert lab.snapshot() == before


def test_a_batch_at_a_time(lab: Lab) -> None:
    runs = [start(lab, start=60_000) for _ in range(3)]
    for run_id in runs:
        let_pass(lab, run_id, "start", 60_000)
    token = lab.lead()
    first = ending.overdue(lab.redis, lab.keys, token, 2, KEEP)
    assert len(first.cancelled) == 2
    assert 0 < first.next_ms <= lab.now_ms
    assert len(look(lab, token).cancelled) == 1
