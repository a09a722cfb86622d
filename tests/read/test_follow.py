"""Following a run, the runs and the events."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from read.scenes import Scene

from qflow.errors import UsageError
from qflow.read import events, follow


def test_a_trace_is_followed_to_its_end(scene: Scene) -> None:
    run = scene.start("pay")
    hand = scene.claim().open("charge")
    told = follow.trace(scene.redis, scene.keys, run)
    assert next(told)["t"] == "claim"
    hand.store(1).complete()
    assert [entry["t"] for entry in told] == ["step", "end"]


def test_following_ends_where_the_run_is_gone(scene: Scene) -> None:
    assert list(follow.trace(scene.redis, scene.keys, "01M85QEBKQ0DE51498XWQNFVH9")) == []


def test_runs_are_told_as_they_begin_and_end(scene: Scene) -> None:
    told = follow.runs(scene.redis, scene.keys)
    run = scene.start("pay")
    row = next(told)
    assert (row.id, row.status) == (run, "queued")
    scene.claim().complete()
    row = next(told)
    assert (row.id, row.status) == (run, "completed")


def test_events_are_listed_newest_first_in_pages(scene: Scene) -> None:
    redis, stream = scene.redis, scene.keys.events
    for number in range(7):
        redis.call("XADD", stream, "*", "name", f"a/{number}", "data", json.dumps({"n": number}))
    first = events.page(redis, stream, limit=3)
    assert [row.name for row in first.rows] == ["a/6", "a/5", "a/4"]
    second = events.page(redis, stream, limit=3, cursor=first.cursor)
    third = events.page(redis, stream, limit=3, cursor=second.cursor)
    assert [row.name for row in (*second.rows, *third.rows)] == ["a/3", "a/2", "a/1", "a/0"]
    assert third.cursor == ""
    assert [row.name for row in events.page(redis, stream, name="*/2").rows] == ["a/2"]
    with pytest.raises(UsageError):
        events.page(redis, stream, cursor="x")


def test_event_data_is_shown_whatever_it_is(scene: Scene) -> None:
    redis, stream = scene.redis, scene.keys.events
    redis.call("XADD", stream, "*", "name", "a/b", "data", b"\x81\xa1n\x07", "enc", "msgpack")
    redis.call("XADD", stream, "*", "name", "a/b", "data", b"\xff{", "ts", "soon")
    redis.call("XADD", stream, "*", "x", "y")
    bare, broken, packed = events.page(redis, stream).rows
    assert packed.data == {"n": 7}
    assert broken.as_dict()["data"] == "\N{REPLACEMENT CHARACTER}{"
    assert broken.as_dict()["ts"] == "soon"
    assert (bare.name, bare.data) == ("", None)


def test_events_are_followed_from_now_on(scene: Scene) -> None:
    redis, stream = scene.redis, scene.keys.events
    told = events.tail(redis, stream, "new/*")
    for name in ("new/1", "old/1", "new/2"):
        redis.call("XADD", stream, "*", "name", name, "data", "{}")
    assert [row.name for row in islice(told, 2)] == ["new/1", "new/2"]
