"""start.lua: an event becomes runs, all or none, once."""

from __future__ import annotations

import pytest
from store.lab import FN, TTL_S, Lab

from qflow.store import stream

ADAY_S = 86_400


@pytest.fixture(autouse=True)
def published(lab: Lab) -> None:
    lab.publish(FN, "other")


def test_a_run_for_every_function(lab: Lab) -> None:
    entry = lab.entry()
    one, two = lab.new(), lab.new("other")
    before = lab.now_ms
    assert lab(lab.starting(entry, "e1", one, two)) == 2
    fields = lab.fields(one.run)
    assert before <= int(fields.pop("created")) == int(fields.pop("queued")) <= lab.now_ms
    assert fields == {
        "fn": FN, "app": "app", "status": "queued", "version": "v1", "event_id": "e1",
        "event": '{"name": "go", "id": "e1", "ts": 1, "data": {}}', "attempt": "0", "lane": "q|1|0|0||",
        "entry": entry,
    }  # fmt: skip
    assert lab.queue() == [f"{one.run}-enter-1", f"{two.run}-enter-1"]
    assert lab.indexed(one.run) == {"queued"} == lab.indexed(two.run, "other")
    assert sorted(lab.members(lab.keys.runs)) == sorted([one.run, two.run])
    assert lab.redis.call("XPENDING", lab.keys.events, stream.GROUP)[0] == 0
    assert lab.redis.call("SMEMBERS", lab.keys.rq_queues) == [lab.keys.queue.encode()]


def test_expiries(lab: Lab) -> None:
    run = lab.queued()
    seen = lab.keys.seen(FN, f"e{run}")
    assert lab.redis.call("GET", seen) == run.encode()
    assert ADAY_S - 5 < lab.ttl(seen) <= ADAY_S
    assert 0 < lab.ttl(lab.keys.wake) <= 60
    assert lab.ttl(lab.keys.run(run)) == -1


def test_a_repeated_call_starts_nothing(lab: Lab) -> None:
    entry = lab.entry()
    call = lab.starting(entry, "e1", lab.new())
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == -2
    assert lab(lab.starting(entry, "e1", lab.new())) == -2
    assert lab.snapshot() == before


def test_the_same_event_again_starts_only_what_it_has_not(lab: Lab) -> None:
    assert lab(lab.starting(lab.entry(), "e1", lab.new())) == 1
    assert lab(lab.starting(lab.entry(), "e1", lab.new(), lab.new("other"))) == 1
    assert lab.counter("duplicates") == 1
    assert len(lab.queue()) == 2


def test_functions_that_changed_meanwhile_start_nothing(lab: Lab) -> None:
    entry, version = lab.entry(), lab.version
    lab.publish(FN)
    before = lab.snapshot()
    assert lab(lab.starting(entry, "e1", lab.new(), version=version)) == -1
    assert lab.snapshot() == before
    assert lab.redis.call("XPENDING", lab.keys.events, stream.GROUP)[0] == 1


def test_no_function(lab: Lab) -> None:
    entry = lab.entry()
    assert lab(lab.starting(entry, "e1")) == 0
    assert lab.redis.call("XPENDING", lab.keys.events, stream.GROUP)[0] == 0
    assert not lab.queue()


def test_very_many_functions(lab: Lab) -> None:
    starts = [lab.new(f"f{n}") for n in range(2200)]
    assert lab(lab.starting(lab.entry(), "e1", *starts)) == 2200
    assert lab.redis.call("LLEN", lab.keys.wake) == 32
    assert TTL_S
