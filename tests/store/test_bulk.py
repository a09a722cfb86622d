"""bulk_take.lua, bulk_step.lua, bulk_stop.lua: one holds an action at a time; what is noted is noted once."""

from __future__ import annotations

import pytest
from store.lab import Lab

from qflow.core.ids import ulid
from qflow.store import bulk
from qflow.store.bulk import Bulk, Step

LEASE_MS = 60_000


@pytest.fixture
def name(lab: Lab) -> str:
    """An action on three runs."""
    made = ulid(lab.now_ms, bytes(10))
    bulk.begin(lab.redis, lab.keys, Bulk(made, "cancel", "all runs", "ada", 50.0), ["A", "B", "C"])
    return made


def field(lab: Lab, name: str, field: str) -> str:
    return (lab.redis.call("HGET", lab.keys.bulk(name), field) or b"").decode()


def left(lab: Lab, name: str) -> list[bytes]:
    found: list[bytes] = lab.redis.call("LRANGE", lab.keys.bulk_left(name), 0, -1)
    return found


def test_one_holds_it_until_its_hold_lapses(lab: Lab, name: str) -> None:
    assert lab(bulk.take(lab.keys, name, "one", LEASE_MS)) == [1, 0]
    assert lab(bulk.take(lab.keys, name, "one", LEASE_MS)) == [1, 0]
    token, wait_ms = lab(bulk.take(lab.keys, name, "two", LEASE_MS))
    assert token == 0
    assert 0 < wait_ms <= LEASE_MS
    lab.redis.call("HSET", lab.keys.bulk(name), "until", 1)
    assert lab(bulk.take(lab.keys, name, "two", LEASE_MS)) == [2, 0]
    assert lab(bulk.take(lab.keys, "other", "one", LEASE_MS)) == [-1, 0]


def test_steps_are_noted_once_and_the_last_ends_it(lab: Lab, name: str) -> None:
    (token, _) = lab(bulk.take(lab.keys, name, "one", LEASE_MS))
    first = bulk.step(lab.keys, name, token, LEASE_MS, Step("A", 2, 1, 0, ["B gone"]))
    assert lab(first) == 1
    assert lab(first) == 1
    assert left(lab, name) == [b"C"]
    assert (field(lab, name, "done"), field(lab, name, "failed")) == ("1", "1")
    assert lab.redis.call("LRANGE", lab.keys.bulk_faults(name), 0, -1) == [b"B gone"]
    last = bulk.step(lab.keys, name, token, LEASE_MS, Step("C", 1, 0, 1, []))
    assert (lab(last), lab(last)) == (1, 1)
    assert (field(lab, name, "state"), field(lab, name, "skipped")) == ("done", "1")
    assert field(lab, name, "ended")
    assert lab.redis.call("EXISTS", lab.keys.bulks_open) == 0
    assert lab(bulk.stop(lab.keys, name)) == 0


def test_who_lost_it_notes_nothing(lab: Lab, name: str) -> None:
    (token, _) = lab(bulk.take(lab.keys, name, "one", LEASE_MS))
    lab.redis.call("HSET", lab.keys.bulk(name), "until", 1)
    lab(bulk.take(lab.keys, name, "two", LEASE_MS))
    before = lab.snapshot()
    assert lab(bulk.step(lab.keys, name, token, LEASE_MS, Step("A", 3, 3, 0, []))) == 0
    assert lab.snapshot() == before


def test_stopped_it_goes_no_further(lab: Lab, name: str) -> None:
    (token, _) = lab(bulk.take(lab.keys, name, "one", LEASE_MS))
    assert (lab(bulk.stop(lab.keys, name)), lab(bulk.stop(lab.keys, name))) == (1, 1)
    assert lab(bulk.step(lab.keys, name, token, LEASE_MS, Step("A", 3, 3, 0, []))) == 0
    assert left(lab, name) == [b"A", b"B", b"C"]
    assert lab(bulk.take(lab.keys, name, "one", LEASE_MS)) == [-1, 0]
    assert lab.redis.call("EXISTS", lab.keys.bulks_open) == 0
    assert lab(bulk.stop(lab.keys, "other")) == 0


def test_an_action_on_nothing_is_done(lab: Lab) -> None:
    made = ulid(lab.now_ms, bytes(10))
    bulk.begin(lab.redis, lab.keys, Bulk(made, "cancel", "none", "ada", 50.0), [])
    assert field(lab, made, "state") == "done"
    assert lab.redis.call("EXISTS", lab.keys.bulks_open) == 0
