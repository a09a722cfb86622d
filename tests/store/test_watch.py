"""include/watch.lua: an event that came after a run's own cancels it, in whichever order they are routed."""

from __future__ import annotations

import json

import pytest
from store.lab import FN, Lab

from qflow.store import ending, stream
from qflow.store.ending import Match
from qflow.store.stream import Start

RULE = f"{FN}:rule:value"


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN)


def add(lab: Lab, entry: str) -> str:
    stream.ensure_group(lab.redis, lab.keys)
    lab.redis.call("XADD", lab.keys.events, entry, "name", "go")
    return stream.read(lab.redis, lab.keys, "r1", 1, 10)[0].id


def start(lab: Lab, entry: str) -> str:
    new = Start(*lab.new()[:4], json.dumps({"cancel": [RULE]}))
    assert lab(lab.starting(entry, f"e{new.run}", new)) == 1
    return new.run


def matched(lab: Lab, entry: str, span_ms: int = 0) -> list[str]:
    (found,) = ending.matched(
        lab.redis, lab.keys, entry, "event x", [Match(RULE, span_ms, noted=True)]
    )
    return found


def test_only_earlier_events_runs_are_found_to_the_entry(lab: Lab) -> None:
    runs = [start(lab, add(lab, f"1700000000000-{n}")) for n in (1, 2, 3)]
    assert matched(lab, "1700000000000-0") == []
    assert matched(lab, "1700000000000-3") == runs[:2]
    assert matched(lab, "1700000000001-0") == runs


def test_runs_older_than_the_span_are_left_alone(lab: Lab) -> None:
    old, young = start(lab, add(lab, "1700000000000-0")), start(lab, add(lab, "1700000005000-0"))
    assert matched(lab, "1700000006000-0", 5000) == [young]
    assert matched(lab, "1700000006000-0") == [old, young]


@pytest.mark.parametrize(("entry", "status"), [("5-1", "cancelled"), ("5-3", "queued")])
def test_a_run_that_is_created_after_its_cancelling_event(
    lab: Lab, entry: str, status: str
) -> None:
    own = add(lab, entry)
    assert matched(lab, "5-2") == []
    run_id = start(lab, own)
    fields = lab.fields(run_id)
    assert fields["status"] == status
    assert ("reason" in fields) == (status == "cancelled")
    assert (lab.queue() == []) == (status == "cancelled")
    assert 0 < lab.ttl(lab.keys.cancelled(RULE)) <= 3600
