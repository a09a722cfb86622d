"""Three schedulers: one run for each tick, whichever of them dies or sleeps."""

from __future__ import annotations

import time

from chaos.scene import SCHEDULES, Scene, timed

from qflow.store import timer
from qflow.testing.processes import Process

MINUTE_MS = 60_000
LEASE_S = 1.0
SLACK_S = 4.0


def test_one_run_a_tick(scene: Scene) -> None:
    with timed("schedulers") as figures:
        scene.start_all("worker", "router")
        scene.start("worker", SCHEDULES)
        schedulers = [scene.spawn("scheduler") for _ in range(3)]
        expected = _set_back(scene, 5)
        _until_fired(scene, expected)

        leader = _leader(scene, schedulers)
        began = time.monotonic()
        leader.kill()
        expected |= _set_back(scene, 10)
        second = scene.until(lambda: _other(scene, schedulers, leader), "a standby to take over")
        took = time.monotonic() - began
        assert took < LEASE_S + SLACK_S
        _until_fired(scene, expected)

        token = int(scene.redis.call("HGET", scene.keys.leader, "token"))
        second.pause()
        third = scene.until(lambda: _other(scene, schedulers, second), "the last to take over")
        expected |= _set_back(scene, 15)
        second.resume()
        assert timer.due(scene.redis, scene.keys, token, 10, 60).count == -1, (
            "an old leader may move"
        )
        _until_fired(scene, expected)
        scene.until(lambda: scene.counter("duplicates") >= 15, "the ticks fired again to be told")
        assert _leader(scene, schedulers) is third
        assert third is not leader and third is not second
        figures.update(ticks=len(expected), takeover_s=round(took, 2))
        scene.check_quiet()


def _set_back(scene: Scene, minutes: int) -> set[int]:
    """Let the last `minutes` ticks be due (again); return them."""
    (member,) = scene.redis.call("ZRANGE", scene.keys.cron, 0, -1)
    seconds, _ = scene.redis.call("TIME")
    last = int(seconds) * 1000 // MINUTE_MS * MINUTE_MS
    scene.redis.call("ZADD", scene.keys.cron, last - minutes * MINUTE_MS, member)
    return {last - n * MINUTE_MS for n in range(minutes)}


def _until_fired(scene: Scene, expected: set[int]) -> None:
    """Wait until every tick has its run, and hold that none has two."""

    def fired() -> bool:
        reports = list(scene.reports(scene.runs("ticking")))
        ticks = [report.output for report in reports]
        assert len(ticks) == len(set(ticks)), "a tick fired twice"
        return expected <= set(ticks)

    scene.until(fired, "the ticks to fire")


def _leader(scene: Scene, schedulers: list[Process]) -> Process:
    def found() -> Process | None:
        holder = (scene.redis.call("HGET", scene.keys.leader, "holder") or b"").decode()
        return next((p for p in schedulers if f".{p.pid}." in holder), None)

    return scene.until(found, "a leader")


def _other(scene: Scene, schedulers: list[Process], old: Process) -> Process | None:
    now = _leader(scene, schedulers)
    return now if now is not old else None
