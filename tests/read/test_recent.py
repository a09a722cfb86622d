"""What recent runs say of a function, failures in groups, and the words of the search box."""

from __future__ import annotations

import pytest
from read.scenes import Scene

from qflow.errors import UsageError
from qflow.read.faults import faults, fingerprint
from qflow.read.pace import Pace, paces
from qflow.read.query import Query, parse
from qflow.read.runs import RunRow, page


def row(took: int, status: str = "completed", message: str = "m") -> RunRow:
    error = {"name": "E", "message": message} if status == "failed" else None
    return RunRow("R", "pay", status, 0, 100, 100 + took, error)


def test_a_pace_is_of_the_newest_runs_oldest_first(scene: Scene) -> None:
    first, second = scene.start("pay"), scene.start("pay")
    scene.claim().open("charge").store_error().fail()
    scene.claim().complete()
    scene.start("pay")
    pace = paces(scene.redis, scene.keys, ["pay", "ship"])
    recent = [(each.created, each.id) for each in pace["pay"].recent]
    assert recent == sorted(recent)
    assert {run for _, run in recent} == {first, second}
    assert pace["pay"].failure_rate == 0.5
    assert (pace["ship"].recent, pace["ship"].p50, pace["ship"].failure_rate) == ((), None, 0)
    assert paces(scene.redis, scene.keys, []) == {}


def test_percentiles() -> None:
    pace = Pace(tuple(row(took) for took in range(100)))
    assert (pace.p50, pace.p95) == (50, 95)


def test_failures_that_differ_in_numbers_only_are_alike() -> None:
    one = fingerprint(row(1, "failed", "order 17 at 0x7f3a took 3.2 s"))
    assert one == fingerprint(row(1, "failed", "order 9 at 0x11 took 44 s"))
    assert one != fingerprint(row(1, "failed", "orders 9 at 0x11 took 44 s"))


def test_failed_runs_are_grouped(scene: Scene) -> None:
    runs = [scene.start(name) for name in ("pay", "pay", "ship")]
    for _ in runs:
        scene.claim().open("charge").store_error().fail()
    groups = {group.function: group for group in faults(scene.redis, scene.keys)}
    found = [(each.created, each.id) for each in groups["pay"].runs]
    assert found == sorted(found, reverse=True)
    assert {run for _, run in found} == set(runs[:2])
    assert sum(groups["pay"].trend) == 2
    assert groups["pay"].first_seen <= groups["pay"].last_seen
    assert [g.function for g in faults(scene.redis, scene.keys, "ship")] == ["ship"]
    assert groups["ship"].as_dict()["count"] == 1


def test_a_page_reaches_back_to_since_only(scene: Scene) -> None:
    old = scene.start("pay")
    scene.redis.call("ZADD", scene.keys.runs, "XX", scene.now_ms() - 7_200_000, old)
    new = scene.start("pay")
    since = scene.now_ms() - 3_600_000
    found = page(scene.redis, scene.keys, since=since, limit=1)
    assert ([each.id for each in found.rows], found.cursor) == ([new], "")
    assert len(page(scene.redis, scene.keys).rows) == 2


def test_the_search_box() -> None:
    asked = parse(" function:pay status:failed,running status:queued since:2h ")
    assert asked == Query("pay", ("failed", "running", "queued"), "2h")
    assert str(asked) == "function:pay status:failed,running,queued since:2h"
    assert (asked.since_ms(8_000_000), parse("").since_ms(5)) == (800_000, 0)
    assert parse("01ABC").run == "01ABC"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status:broken", "status:broken: there is no such state; write one of queued"),
        ("color:red", "'color' is no qualifier; write one of function:, status:, since:"),
        ("since:yesterday", "since:yesterday"),
        ("01A 01B", "one id at a time"),
    ],
)
def test_a_search_that_means_nothing(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(text)
