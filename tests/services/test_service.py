"""The loop that router, scheduler, rescuer and pruner share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from qflow import telemetry
from qflow.errors import RedisUnavailable
from qflow.services import service
from qflow.services.loop import LoopThread
from qflow.services.service import Service


class Scripted(Service):
    """Does what its script says, one item a tick, then stops."""

    kind = "scripted"

    def __init__(self, *script: float | Exception) -> None:
        super().__init__()
        self.stop_event = threading.Event()
        self.script = list(script)
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def tick(self) -> float:
        self.calls.append("tick")
        item = self.script.pop(0)
        if not self.script:
            self.stop_event.set()
        if isinstance(item, Exception):
            raise item
        return item

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    monkeypatch.setattr(service, "_AFTER_ERROR_S", 0.001)
    found: list[tuple[str, Any]] = []

    def sink(name: str, fields: Any) -> None:
        found.append((name, dict(fields)))

    telemetry.attach(sink)
    yield found
    telemetry.detach(sink)


def test_started_once_ticked_and_stopped(told: list[tuple[str, Any]]) -> None:
    scripted = Scripted(0, 0.001, 0)
    scripted.run(scripted.stop_event)
    assert scripted.calls == ["start", "tick", "tick", "tick", "stop"]
    assert told == [("loop.ticked", {"loop": "scripted"})] * 3


def test_errors_are_reported_and_waited_out(told: list[tuple[str, Any]]) -> None:
    scripted = Scripted(0, ValueError("a bug"), 0, RedisUnavailable("no Redis"), 0)
    scripted.run(scripted.stop_event)
    assert scripted.calls.count("tick") == 5
    assert scripted.calls[-1] == "stop"
    failed = [fields["error"] for name, fields in told if name == "loop.failed"]
    assert failed == ["ValueError('a bug')", "no Redis"]
    assert scripted.calls.count("start") >= 2, "Redis may have lost what start prepared"


def test_an_event_loop_outlives_what_exits_in_it() -> None:
    import asyncio

    async def leave() -> None:
        raise SystemExit(3)

    async def stay() -> int:
        return 1

    loop = LoopThread("test").loop()
    for _ in range(3):
        with pytest.raises(SystemExit):
            asyncio.run_coroutine_threadsafe(leave(), loop).result(5)
        assert asyncio.run_coroutine_threadsafe(stay(), loop).result(5) == 1
    loop.call_soon_threadsafe(loop.stop)
