"""The event stream: appending, reading as a group, taking over, trimming."""

from __future__ import annotations

import pytest
from store.lab import FN, Lab

from qflow import Event, LimitError
from qflow.store import stream


def event(n: int, **data: object) -> Event[object]:
    return Event("go", {"n": n, **data}, f"e{n}", 1_700_000_000_000 + n)


def test_appended_in_order(lab: Lab) -> None:
    assert stream.append(lab.redis, lab.keys, [event(n) for n in range(1200)]) == [
        f"e{n}" for n in range(1200)
    ]
    stream.ensure_group(lab.redis, lab.keys)
    stream.ensure_group(lab.redis, lab.keys)
    entries = stream.read(lab.redis, lab.keys, "r1", 2000, 10)
    assert [entry.fields[b"id"] for entry in entries] == [b"e%d" % n for n in range(1200)]
    assert entries[0].fields == {
        b"name": b"go", b"data": b'{"n":0}', b"id": b"e0", b"ts": b"1700000000000",
    }  # fmt: skip
    assert stream.read(lab.redis, lab.keys, "r1", 10, 10) == []


def test_one_bad_event_and_nothing_is_sent(lab: Lab) -> None:
    with pytest.raises(LimitError):
        stream.append(lab.redis, lab.keys, [event(1), event(2, x="x" * 600_000)])
    assert lab.redis.call("EXISTS", lab.keys.events) == 0


def test_taken_over_from_a_dead_router(lab: Lab) -> None:
    stream.ensure_group(lab.redis, lab.keys)
    stream.append(lab.redis, lab.keys, [event(1), event(2)])
    read = stream.read(lab.redis, lab.keys, "r1", 10, 10)
    assert stream.reclaim(lab.redis, lab.keys, "r2", 60_000, 10) == [], "not idle for long enough"
    assert stream.reclaim(lab.redis, lab.keys, "r2", 0, 10) == read
    assert {
        entry[1] for entry in lab.redis.call("XPENDING", lab.keys.events, stream.GROUP, "-", "+", 9)
    } == {b"r2"}


def test_entries_deleted_by_hand_are_passed_over(lab: Lab) -> None:
    stream.ensure_group(lab.redis, lab.keys)
    stream.append(lab.redis, lab.keys, [event(1), event(2)])
    first, second = stream.read(lab.redis, lab.keys, "r1", 10, 10)
    lab.redis.call("XDEL", lab.keys.events, first.id)
    assert stream.reclaim(lab.redis, lab.keys, "r2", 0, 10) == [second]


def test_trimmed_by_age_but_never_what_is_unread_or_unacknowledged(lab: Lab) -> None:
    stream.ensure_group(lab.redis, lab.keys)
    lab.publish(FN)
    for n in range(400):
        lab.redis.call("XADD", lab.keys.events, f"{1000 + n}-0", "name", "go")
    read = stream.read(lab.redis, lab.keys, "r1", 300, 10)
    acknowledged = [entry.id for entry in read if entry.id != "1250-0"]
    lab.redis.call("XACK", lab.keys.events, stream.GROUP, *acknowledged)
    assert stream.trim(lab.redis, lab.keys, 999) == 0
    assert stream.trim(lab.redis, lab.keys, 1150) > 0
    stream.trim(lab.redis, lab.keys, lab.now_ms)
    left = [entry[0] for entry in lab.redis.call("XRANGE", lab.keys.events, "-", "+")]
    assert left[-150:] == [b"%d-0" % n for n in range(1250, 1400)]
    assert len(left) < 300
    lab.redis.call("XACK", lab.keys.events, stream.GROUP, "1250-0")
    stream.trim(lab.redis, lab.keys, lab.now_ms)
    left = [entry[0] for entry in lab.redis.call("XRANGE", lab.keys.events, "-", "+")]
    assert left[-100:] == [b"%d-0" % n for n in range(1300, 1400)]
