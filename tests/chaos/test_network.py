"""What goes wrong between qflow and Redis, or is delivered twice, changes nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from chaos.proxy import Proxy
from chaos.scene import DEADLINE_S, Scene, timed

import qflow
from qflow.store.redis import Redis
from qflow.store.stream import GROUP

LOAD = {"flow": 150, "aflow": 150, "mixed": 150}


def _send_load(scene: Scene, seconds: float = 0.001) -> None:
    for function, count in LOAD.items():
        scene.send(f"load/{function}", count, seconds=seconds)


@contextmanager
def meanwhile(act: Callable[[Redis], None], scene: Scene, pause_s: float) -> Iterator[list[int]]:
    """Do something to Redis again and again during a block; yields how often, as it counts."""
    done, stop = [0], threading.Event()
    redis = Redis(scene.server.url, DEADLINE_S)

    def repeat() -> None:
        while not stop.wait(pause_s):
            act(redis)
            done[0] += 1

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_scripts_are_flushed(scene: Scene) -> None:
    with timed("script flush") as figures:
        scene.start_all("worker", "worker", "router", "scheduler")
        with meanwhile(lambda redis: redis.call("SCRIPT", "FLUSH"), scene, 0.01) as flushes:
            _send_load(scene)
            scene.until_ended(sum(LOAD.values()))
        figures.update(flushes=flushes[0])
        assert flushes[0] > 50
        assert scene.check_load(LOAD) == 0
        assert scene.counter("fenced") == 0
        scene.check_quiet()


def test_connections_are_killed(scene: Scene) -> None:
    def kill(redis: Redis) -> None:
        killed[0] += redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    killed = [0]
    with timed("client kill") as figures:
        scene.start_all("worker", "worker", "router", "scheduler")
        with meanwhile(kill, scene, 0.05) as rounds:
            _send_load(scene, 0.003)
            scene.until_ended(sum(LOAD.values()))
        repeats = scene.check_load(LOAD)
        figures.update(rounds=rounds[0], killed=killed[0], repeats=repeats)
        assert rounds[0] > 10 and killed[0] > 50
        scene.check_quiet()


@pytest.mark.parametrize("lose", [0.03, 0.2])
def test_replies_are_lost(scene: Scene, lose: float) -> None:
    seed = random.randrange(10**6)
    with (
        timed(f"lost replies {lose}") as figures,
        Proxy(scene.server.port, lose=lose, seed=seed) as proxy,
    ):
        figures.update(seed=seed)
        scene.start_all("router", "scheduler")
        for _ in range(2):
            scene.start("worker", QFLOW_REDIS_URL=proxy.url, QFLOW_LEASE="3s")
        _send_load(scene)
        scene.until_ended(sum(LOAD.values()))
        repeats = scene.check_load(LOAD)
        figures.update(lost=proxy.lost, exchanges=proxy.exchanges, repeats=repeats)
        figures.update(fenced=scene.counter("fenced"), deaths=scene.counter("deaths"))
        assert proxy.lost > 50
        assert scene.counter("deaths") == 0, (
            "the replies of a living worker were lost, not the worker"
        )
        scene.check_quiet()


def test_replies_of_router_and_scheduler_are_lost(scene: Scene) -> None:
    with timed("lost replies of services") as figures, Proxy(scene.server.port, lose=0.2) as proxy:
        scene.start("worker")
        scene.start("router", QFLOW_REDIS_URL=proxy.url)
        scene.start("scheduler", QFLOW_REDIS_URL=proxy.url)
        _send_load(scene)
        scene.until_ended(sum(LOAD.values()))
        assert scene.check_load(LOAD) == 0
        figures.update(lost=proxy.lost, exchanges=proxy.exchanges)
        assert proxy.lost > 5
        scene.check_quiet()


def test_slow_network(scene: Scene) -> None:
    with timed("slow network") as figures, Proxy(scene.server.port, delay_s=0.05) as proxy:
        scene.start_all("router", "scheduler")
        scene.start("worker", QFLOW_REDIS_URL=proxy.url)
        scene.send("load/flow", 20)
        scene.send("load/aflow", 20)
        scene.until_ended(40)
        assert scene.check_load({"flow": 20, "aflow": 20}) == 0
        figures.update(exchanges=proxy.exchanges)
        assert scene.counter("deaths") == scene.counter("fenced") == 0
        scene.check_quiet()


def test_events_are_delivered_twice(scene: Scene) -> None:
    with timed("duplicates") as figures:
        scene.start("worker")
        scene.start("scheduler")
        first = scene.start("router")
        for _ in range(3):
            scene.send("load/flow", 100)
        scene.until_ended(100)
        assert scene.counter("duplicates") == 200
        entries = _let_a_second_router_take_over(scene, first.pause)
        first.resume()
        scene.app.send(qflow.Event("load/flow", id="last"))
        scene.until_ended(100 + entries + 1)
        figures.update(taken_over=entries)
        assert entries > 0
        assert scene.check_load({"flow": 100 + entries + 1}) == 0
        scene.check_quiet()


def _let_a_second_router_take_over(scene: Scene, freeze: Callable[[], None]) -> int:
    """Freeze a router that has read events and not handled them; start another; return how many."""
    redis, keys, sent = scene.redis, scene.keys, 0
    while not sent or redis.call("XPENDING", keys.events, GROUP)[0] == 0:
        prefix = f"batch{sent}"
        thread = threading.Thread(target=scene.send, args=("load/flow", 200, prefix))
        thread.start()
        scene.until(lambda p=prefix: _stands(scene, p), "the batch")
        freeze()
        thread.join()
        sent += 200
        if redis.call("XPENDING", keys.events, GROUP)[0] == 0:
            scene.qflow.processes[-1].resume()
            time.sleep(0.05)  # the next attempt meets it at another moment
    scene.start("router")
    scene.until(lambda: redis.call("XPENDING", keys.events, GROUP)[0] == 0, "the take-over")
    return sent


def _stands(scene: Scene, prefix: str) -> bool:
    last = scene.redis.call("XREVRANGE", scene.keys.events, "+", "-", "COUNT", 1)
    return bool(last) and prefix.encode() in b" ".join(last[0][1])
