"""Depths, ages and leases, and what the doctor says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from read.scenes import OLD_MS, Scene

from qflow.read.doctor import Facts, Finding, examine, findings
from qflow.read.functions import function, functions
from qflow.read.nearest import NotFound
from qflow.read.stats import overview
from qflow.read.topology import leader, leases, workers
from qflow.store import lease, script, stream
from qflow.store.keys import Keys
from qflow.store.redis import Redis


def about(facts: Facts, what: str) -> Finding:
    return next(finding for finding in findings(facts) if finding.what == what)


@pytest.fixture
def facts(scene: Scene) -> Facts:
    return examine(scene.redis, scene.keys)


def test_an_empty_namespace_counts_nothing(redis: Redis, keys: Keys) -> None:
    seen = overview(redis, keys)
    assert (seen.queue_depth, seen.oldest_wait_ms, seen.delayed, seen.next_due_ms) == (
        0,
        0,
        0,
        None,
    )
    assert (seen.stream.length, seen.stream.lag, seen.unfinished) == (0, None, 0)


def test_the_queue_tells_its_depth_and_the_age_of_its_head(scene: Scene) -> None:
    run = scene.start("pay")
    scene.start("ship")
    scene.redis.call("HSET", scene.keys.run(run), "queued", scene.now_ms() - 90_000)
    seen = overview(scene.redis, scene.keys)
    assert (seen.queue_depth, seen.unfinished) == (2, 2)
    assert 90_000 <= seen.oldest_wait_ms < 100_000
    assert about(examine(scene.redis, scene.keys), "queue").level == "warn"


def test_timers_tell_the_next_due_time(scene: Scene) -> None:
    scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    seen = overview(scene.redis, scene.keys)
    assert seen.next_due_ms is not None
    assert (seen.delayed, seen.overdue_ms) == (1, 0)
    assert 50_000 < seen.next_due_ms - seen.now_ms <= 60_000


def test_an_overdue_timer_is_bad(scene: Scene) -> None:
    scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    (job,) = scene.redis.call("ZRANGE", scene.keys.scheduled, 0, 0)
    scene.redis.call("ZADD", scene.keys.scheduled, scene.now_ms() / 1000 - 30, job)
    found = about(examine(scene.redis, scene.keys), "timers")
    assert (found.level, found.remedy) == ("bad", "start `qflow scheduler`")


def test_the_stream_tells_its_lag(scene: Scene) -> None:
    redis, keys = scene.redis, scene.keys
    redis.call("XADD", keys.events, "*", "name", "a/b", "data", "{}")
    assert about(examine(redis, keys), "router").level == "bad"
    stream.ensure_group(redis, keys)
    assert overview(redis, keys).stream.lag == 1
    stream.read(redis, keys, "r1", 10, 10)
    seen = overview(redis, keys).stream
    assert (seen.length, seen.lag, seen.pending) == (1, 0, 1)


def test_a_lag_that_redis_does_not_know_is_counted(scene: Scene) -> None:
    redis, keys = scene.redis, scene.keys
    stream.ensure_group(redis, keys)
    ids = [redis.call("XADD", keys.events, "*", "name", "a/b", "data", "{}") for _ in range(4)]
    stream.read(redis, keys, "r1", 1, 10)
    redis.call("XDEL", keys.events, ids[2])  # from here on, Redis 7 says that it does not know
    assert overview(redis, keys).stream.lag == 2


def test_workers_tell_lease_runs_and_their_rq_record(scene: Scene) -> None:
    scene.start("pay")
    scene.claim()
    (view,) = workers(scene.redis, scene.keys)
    assert (view.name, view.live, view.runs, view.host, view.pid) == ("w1", True, 1, "host", 7)
    scene.redis.call("ZADD", scene.keys.leases, OLD_MS, "w1")
    assert leases(scene.redis, scene.keys)["w1"] < 0
    assert about(examine(scene.redis, scene.keys), "workers").level == "bad"


def test_the_leader_is_live_until_its_lead_ends(scene: Scene) -> None:
    redis, keys = scene.redis, scene.keys
    assert (leader(redis, keys).holder, leader(redis, keys).live) == ("", False)
    lease.lead(redis, keys, "s1", 30_000)
    held = leader(redis, keys)
    assert (held.holder, held.live) == ("s1", True)
    assert 20_000 < held.left_ms <= 30_000
    lease.lead(redis, keys, "s1", 30_000, resign=True)
    assert not leader(redis, keys).live
    assert "resigned" in about(examine(redis, keys), "scheduler").detail


def test_nobody_leading_is_bad_once_work_waits_for_it(scene: Scene) -> None:
    redis, keys = scene.redis, scene.keys
    assert about(examine(redis, keys), "scheduler").level == "warn"
    scene.start("pay")
    assert about(examine(redis, keys), "scheduler").level == "bad"
    lease.lead(redis, keys, "s1", -1)  # lapsed already
    assert about(examine(redis, keys), "scheduler").level == "warn"  # a standby may take over


def test_a_function_shows_its_counts_and_triggers(scene: Scene) -> None:
    cron = {"cron": "0 9 * * 1", "tz": "Europe/Paris"}
    scene.publish("pay", "ship", triggers=[{"event": "order/*"}, cron])
    scene.start("pay")
    view = function(scene.redis, scene.keys, "pay")
    assert view.triggers == ["order/*", "cron 0 9 * * 1 Europe/Paris"]
    assert view.as_dict()["runs"]["queued"] == 1
    assert [view.id for view in functions(scene.redis, scene.keys)] == ["pay", "ship"]


def test_a_function_that_is_no_longer_published_keeps_its_runs(scene: Scene) -> None:
    scene.start("pay")
    scene.publish("ship")
    view = function(scene.redis, scene.keys, "pay")
    assert (view.as_dict()["published"], view.runs["queued"]) == (False, 1)
    scene.claim().complete()


def test_an_unknown_function_is_answered_with_the_nearest(scene: Scene) -> None:
    with pytest.raises(NotFound, match="did you mean 'ship'"):
        function(scene.redis, scene.keys, "shop")
    with pytest.raises(NotFound, match="published are pay, ship"):
        function(scene.redis, scene.keys, "zzzzzz")


def test_counters_come_from_the_scripts(scene: Scene) -> None:
    scene.start("pay")
    hand = scene.claim()
    scene.die()
    detail = about(examine(scene.redis, scene.keys), "history").detail
    assert detail == "worker deaths: 1"
    scene.enlist("w2")
    scene.claim("w2").complete()
    with pytest.raises(AssertionError):
        hand.complete()
    assert script.names()
    assert "late commits refused: 1" in about(examine(scene.redis, scene.keys), "history").detail


def test_durability_says_what_an_accepted_event_survives(scene: Scene) -> None:
    redis = scene.redis
    try:
        assert "none" in about(examine(redis, scene.keys), "durability").detail
        redis.call("CONFIG", "SET", "save", "3600 1")
        assert "snapshots only" in about(examine(redis, scene.keys), "durability").detail
        redis.call("CONFIG", "SET", "appendonly", "yes")
        for fsync, level in (("always", "ok"), ("everysec", "ok"), ("no", "warn")):
            redis.call("CONFIG", "SET", "appendfsync", fsync)
            assert about(examine(redis, scene.keys), "durability").level == level
    finally:
        redis.pipeline(
            [
                ("CONFIG", "SET", "appendonly", "no"), ("CONFIG", "SET", "save", ""),
                ("CONFIG", "SET", "appendfsync", "everysec"),
            ]
        )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "level"), [("noeviction", "ok"), ("volatile-lru", "ok"), ("allkeys-lru", "bad")]
)
def test_eviction_of_live_keys_is_bad(scene: Scene, policy: str, level: str) -> None:
    scene.redis.call("CONFIG", "SET", "maxmemory-policy", policy)
    try:
        assert about(examine(scene.redis, scene.keys), "eviction").level == level
    finally:
        scene.redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_what_this_machine_cannot_show_is_told_from_info(facts: Facts) -> None:
    def with_info(**info: str) -> Facts:
        return replace(facts, info={**facts.info, **info})

    assert about(with_info(redis_version="6.0.9"), "version").level == "bad"
    assert about(with_info(redis_version="6.2.0"), "version").level == "ok"
    assert about(with_info(role="slave", master_host="db1"), "role").level == "bad"
    assert about(with_info(aof_last_write_status="err"), "disk").level == "bad"
    assert about(with_info(maxmemory="100", used_memory="85"), "memory").level == "warn"
    assert about(with_info(maxmemory="100", used_memory="99"), "memory").level == "bad"
    assert "5s ahead" in about(replace(facts, skew_ms=5000), "clock").detail
    assert "5s behind" in about(replace(facts, skew_ms=-5000), "clock").detail
    hidden = replace(facts, fsync="", save="", info={**facts.info, "aof_enabled": "1"})
    assert about(hidden, "durability").level == "ok"


def test_every_finding_that_is_not_ok_has_a_remedy(facts: Facts) -> None:
    for finding in findings(facts):
        assert finding.level == "ok" or finding.remedy, finding
