"""Pages of runs, and finding a run by a part of its id."""

from __future__ import annotations

import pytest
from read.scenes import Scene

from qflow.errors import UsageError
from qflow.read import runs
from qflow.read.counts import counts
from qflow.read.nearest import NotFound
from qflow.store.keys import Keys
from qflow.store.redis import Redis


def every(scene: Scene, limit: int, **filters: object) -> list[str]:
    """Walk all pages."""
    found: list[str] = []
    cursor = ""
    while True:
        page = runs.page(scene.redis, scene.keys, cursor=cursor, limit=limit, **filters)  # type: ignore[arg-type]
        assert len(page.rows) <= limit
        found += [row.id for row in page.rows]
        cursor = page.cursor
        if not cursor:
            return found


def test_a_page_has_the_newest_runs_first(scene: Scene) -> None:
    started = [scene.start("pay") for _ in range(3)]
    page = runs.page(scene.redis, scene.keys, limit=10)
    assert {row.id for row in page.rows} == set(started)
    created = [row.created for row in page.rows]
    assert created == sorted(created, reverse=True)
    assert page.cursor == ""


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_give_each_run_once(scene: Scene, limit: int) -> None:
    started = {scene.start("pay") for _ in range(7)}
    for run in list(started)[:4]:  # several of one millisecond
        scene.redis.call("ZADD", scene.keys.runs, 5000, run)
    found = every(scene, limit)
    assert len(found) == 7
    assert set(found) == started


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_of_a_function_merge_its_states(scene: Scene, limit: int) -> None:
    waiting, done = scene.start("pay"), scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    scene.claim().complete()
    queued = scene.start("pay")
    scene.start("ship")
    assert set(every(scene, limit, function="pay")) == {waiting, done, queued}
    assert every(scene, limit, function="pay", statuses=("completed",)) == [done]
    assert set(every(scene, limit, statuses=("completed", "waiting"))) == {done, waiting}


def test_a_row_tells_how_a_run_ended(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().fail()
    (row,) = runs.page(scene.redis, scene.keys).rows
    shown = row.as_dict()
    assert shown["id"] == run
    assert (shown["function"], shown["status"]) == ("pay", "failed")
    assert shown["error"] == {"name": "ValueError", "message": "no such thing"}
    assert shown["duration_ms"] == shown["ended"] - shown["started"]


def test_a_run_that_has_not_ended_has_no_duration(scene: Scene) -> None:
    scene.start("pay")
    (row,) = runs.page(scene.redis, scene.keys).rows
    assert (row.started, row.ended, row.duration_ms) == (None, None, None)


@pytest.mark.leaves_keys("the record of a run is deleted")
def test_an_expired_run_is_left_out(scene: Scene) -> None:
    kept, gone = scene.start("pay"), scene.start("pay")
    scene.redis.call("DEL", scene.keys.run(gone))
    assert every(scene, 1) == [kept]


def test_a_cursor_that_is_none_is_refused(redis: Redis, keys: Keys) -> None:
    with pytest.raises(UsageError, match="leave it out"):
        runs.page(redis, keys, cursor="yesterday")


def test_counts_have_all_seven_states(scene: Scene) -> None:
    scene.start("pay")
    assert counts(scene.redis, scene.keys, "pay") == {
        "queued": 1, "running": 0, "waiting": 0, "completed": 0, "failed": 0, "cancelled": 0,
        "skipped": 0,
    }  # fmt: skip
    assert counts(scene.redis, scene.keys, "ship")["queued"] == 0
    assert counts(scene.redis, scene.keys)["queued"] == 1


def test_a_run_is_found_by_a_part_of_its_id(scene: Scene) -> None:
    run = scene.start("pay")
    for part in (run, run.lower(), run[:20], run[-6:], run[-6:].lower()):
        assert runs.find(scene.redis, scene.keys, part) == run


def test_a_part_of_several_ids_is_refused(scene: Scene) -> None:
    for _ in range(2):
        scene.start("pay")
    with pytest.raises(UsageError, match="2 runs"):
        runs.find(scene.redis, scene.keys, "01")


def test_an_unknown_run_is_answered_with_the_nearest(scene: Scene) -> None:
    run = scene.start("pay")
    wrong = run[:-1] + ("0" if run[-1] != "0" else "1")
    with pytest.raises(NotFound, match=run):
        runs.find(scene.redis, scene.keys, wrong)
    with pytest.raises(NotFound, match="runs list"):
        runs.find(scene.redis, scene.keys, "*")
