"""Redis dies and comes back under load: what it had accepted goes on, exactly once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chaos.scene import DEADLINE_S, Scene, timed

import qflow
from qflow.errors import RedisError
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer

SLICE = 150


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[Scene]:
    """A Redis that has every write on disk before it answers."""
    options = ("--appendfsync", "always")
    with RedisServer(appendonly=True, options=options) as server:
        made = Scene(tmp_path, server)
        try:
            yield made
        finally:
            made.close()


class Sender:
    """Sends events one by one, and remembers which of them Redis accepted."""

    def __init__(self, app: qflow.App) -> None:
        self._app = app
        self.accepted: list[str] = []
        self.unknown: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        for n in itertools.count():
            if self._stop.wait(0.005):
                return
            event = qflow.Event("load/flow", data={}, id=f"e{n}")
            try:
                self.accepted.append(self._app.send(event))
            except RedisError:
                self.unknown.append(event.id)


def _kill(scene: Scene) -> None:
    scene.server.kill()
    scene.server.restart()


def _shut_down(scene: Scene) -> None:
    client = Redis(scene.server.url)
    with pytest.raises(RedisError):
        client.call("SHUTDOWN", "NOSAVE")
    scene.server.restart()


@pytest.mark.serial
def test_killed_twice_and_shut_down_once(lasting: Scene) -> None:
    scene = lasting
    with timed("redis restarts") as figures:
        scene.start_all("worker", "worker", "router", "scheduler")
        ends: list[Callable[[Scene], None]] = [_kill, _kill, _shut_down]
        lives = {_life(scene)}
        with Sender(scene.app) as sender:
            for end in ends:
                goal = len(sender.accepted) + SLICE
                scene.until(lambda goal=goal: len(sender.accepted) >= goal, "load")
                end(scene)
                lives.add(_life(scene))
            goal = len(sender.accepted) + SLICE
            scene.until(lambda goal=goal: len(sender.accepted) >= goal, "load")
        assert len(lives) == 1 + len(ends), "Redis was not restarted"
        scene.until_ended(len(sender.accepted))
        runs = _runs_by_event(scene)
        assert set(sender.accepted) <= set(runs), "an accepted event started nothing"
        assert set(runs) <= {*sender.accepted, *sender.unknown}
        assert all(len(started) == 1 for started in runs.values()), "an event started twice"
        repeats = scene.check_load({"flow": len(runs)})
        figures.update(accepted=len(sender.accepted), unknown=len(sender.unknown), repeats=repeats)
        scene.check_quiet()


def _life(scene: Scene) -> str:
    """Return what names one life of the Redis server."""
    text = Redis(scene.server.url, DEADLINE_S).call("INFO", "server").decode()
    return next(line for line in text.splitlines() if line.startswith("run_id:"))


def _runs_by_event(scene: Scene) -> dict[str, list[str]]:
    runs = [raw.decode() for raw in scene.redis.call("ZRANGE", scene.keys.runs, 0, -1)]
    found: dict[str, list[str]] = {}
    for report in scene.reports(runs):
        found.setdefault(report.fields["event_id"], []).append(report.id)
    return found
