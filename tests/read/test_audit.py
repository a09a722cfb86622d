"""The audit finds each way in which a run can be stuck, and nothing on a sound system."""

from __future__ import annotations

import threading

import pytest
from read.scenes import JOB, Scene, waiting

from qflow.core.ids import job_id, ulid
from qflow.read.audit import Audit, Stuck, audit
from qflow.read.backing import RESCUE_MS
from qflow.store import invoke, script, stream
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer

pytestmark = pytest.mark.leaves_keys("namespaces are broken on purpose")


def check(scene: Scene) -> Audit:
    return audit(scene.redis, scene.keys, pause_s=0.02)


def why(scene: Scene) -> str:
    (found,) = check(scene).findings
    return found.why


def test_a_sound_system_has_no_findings(scene: Scene) -> None:
    for _ in range(5):
        scene.start("pay")
    scene.claim().complete()
    scene.claim().sleep("nap", 60_000)
    scene.claim().open("charge")
    scene.claim().open("charge").again(60_000)
    seen = check(scene)
    assert seen.findings == ()
    assert (seen.checked, seen.queued_jobs, seen.rescues) == (4, 1, 0)


def test_a_queued_run_without_its_job_is_found(scene: Scene) -> None:
    run = scene.start("pay")
    scene.redis.call("LREM", scene.keys.queue, 0, job_id(run, "", 1))
    assert "not in the queue" in why(scene)


def test_a_job_under_an_old_token_is_no_job(scene: Scene) -> None:
    run = scene.start("pay")
    scene.redis.call("HSET", scene.keys.run(run), "lane", "q|2|0|0||")
    assert "not in the queue" in why(scene)


def test_a_sleep_without_its_timer_is_found(scene: Scene) -> None:
    scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    scene.redis.call("DEL", scene.keys.scheduled)
    assert "timer" in why(scene)


def test_a_held_run_needs_the_lease_of_its_worker(scene: Scene) -> None:
    scene.start("pay")
    scene.claim().open("charge")
    scene.redis.call("DEL", scene.keys.leases)
    assert why(scene) == "is held by worker w1, which has no lease"


def test_a_held_run_needs_to_be_known_to_its_worker(scene: Scene) -> None:
    scene.start("pay")
    scene.claim()
    scene.redis.call("DEL", scene.keys.lanes("w1"))
    assert "does not list it" in why(scene)


def test_a_lapsed_lease_is_the_rescuers_work_for_a_minute(scene: Scene) -> None:
    scene.start("pay")
    scene.claim()
    scene.redis.call("ZADD", scene.keys.leases, scene.now_ms() - 1000, "w1")
    seen = check(scene)
    assert (seen.findings, seen.rescues) == ((), 1)
    scene.redis.call("ZADD", scene.keys.leases, scene.now_ms() - RESCUE_MS - 5000, "w1")
    assert "whose lease lapsed" in why(scene)


def test_a_run_in_the_index_of_another_state_is_found(scene: Scene) -> None:
    run = scene.start("pay")
    scene.redis.call("ZADD", scene.keys.by_status("waiting"), 5, run)
    assert why(scene) == "listed as waiting, but its record says queued"


def test_a_run_that_no_index_lists_is_found(scene: Scene) -> None:
    run = scene.start("pay")
    scene.redis.call("ZREM", scene.keys.by_status("queued"), run)
    assert "the index of queued runs lacks it" in why(scene)


def test_a_run_that_its_functions_index_lacks_is_found(scene: Scene) -> None:
    run = scene.start("pay")
    scene.redis.call("ZREM", scene.keys.by_function("pay", "queued"), run)
    assert "its function's queued runs" in why(scene)


def test_an_unfinished_run_without_a_record_is_found(scene: Scene) -> None:
    run = scene.start("pay")
    scene.redis.call("DEL", scene.keys.run(run))
    assert "its record is gone" in why(scene)


def test_an_ended_run_in_the_wrong_index_is_found(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().complete()
    scene.redis.call("ZREM", scene.keys.by_status("completed"), run)
    assert "the index of completed runs lacks it" in why(scene)


def test_a_live_system_gives_no_false_alarm(scene: Scene, redis_server: RedisServer) -> None:
    for _ in range(200):
        scene.start("pay")
    stop = threading.Event()
    worked: list[str] = []

    def work() -> None:
        other = Scene(Redis(redis_server.url), scene.keys)
        while not stop.is_set():
            hand = other.claim().open("a").store(1).open("b").store(2)
            hand.complete()
            other.start("pay")
            worked.append(hand.run)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        found: list[Stuck] = []
        audits = 0
        while audits < 8 or len(worked) < 200:
            found += check(scene).findings
            audits += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert found == []


def test_ten_thousand_runs(scene: Scene) -> None:
    calls = []
    for number in range(10_000):
        run = ulid(1_700_000_000_000 + number, number.to_bytes(10, "big"))
        event = (run, '{"name":"a/b","id":"x","ts":1,"data":{}}')
        calls.append(
            invoke.invoke(
                scene.keys, stream.Start("pay", run, "1", "shop"), event, stream.Keep(500, 700)
            )
        )
    for at in range(0, len(calls), 1000):
        script.run_all(scene.redis, calls[at : at + 1000])
    before = commands(scene)
    seen = check(scene)
    assert (seen.checked, seen.queued_jobs, seen.findings) == (10_000, 10_000, ())
    assert commands(scene) - before < 11 * 10_000, "about ten commands a run"


def commands(scene: Scene) -> int:
    """Return how many commands this Redis has processed."""
    told = scene.redis.call("INFO", "stats").decode()
    return int(told.partition("total_commands_processed:")[2].split()[0])


def open_steps(scene: Scene) -> str:
    run = scene.start("pay")
    scene.claim().fork(
        charge=JOB,
        paid=waiting("event", "paid", "order/paid", digests=["d1", "d2"]),
        said=waiting("signal", "said", "door", signal="door", refused="{}"),
        nap={**waiting("sleep", "nap", ""), "delay_ms": 60_000},
    )
    return run


def test_open_steps_are_backed(scene: Scene) -> None:
    open_steps(scene)
    assert check(scene).findings == ()
    scene.claim()
    assert check(scene).findings == ()


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("charge", "waits for a job that is not in the queue"),
        ("paid", "waits for something, but nothing would tell it"),
        ("said", "waits for something, but nothing would tell it"),
        ("nap", "waits for something, but nothing would tell it"),
    ],
)
def test_an_open_step_that_nothing_backs(scene: Scene, step: str, problem: str) -> None:
    open_steps(scene)
    keys = scene.keys
    backing = {
        "charge": [keys.queue],
        "paid": [keys.waiters("d1"), keys.waiters("d2")],
        "said": [keys.signal("door")],
        "nap": [keys.scheduled],
    }
    scene.redis.call("DEL", *backing[step])
    assert why(scene) == f"step {step!r} {problem}"


def test_a_suspended_run_without_open_steps(scene: Scene) -> None:
    run = open_steps(scene)
    scene.redis.call("DEL", scene.keys.open(run))
    assert why(scene) == "waits for open steps, but has none"
