"""Server-sent events: what changed is told, and so is a Redis that is lost and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from read.scenes import Scene

from qflow.errors import RedisUnavailable
from qflow.web import live
from qflow.web.access import Access
from qflow.web.exchange import Site
from qflow.web.live import Live


async def heard(scene: Scene, run: str, acts: list[tuple[Callable[[], object], str]]) -> None:
    """Do each act, and wait for the event that tells of it."""
    stream = Live(Site(scene.redis, scene.keys, Access())).events(run)
    assert (await anext(stream)).startswith(b"retry: ")
    told = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.1)  # the first look is what changes are measured by
    for act, event in acts:
        await asyncio.to_thread(act)
        while not (await asyncio.wait_for(told, 5)).startswith(f"event: {event}\n".encode()):
            told = asyncio.ensure_future(anext(stream))
        told = asyncio.ensure_future(anext(stream))
    told.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_S", 0.03)


def test_what_changes_is_told(scene: Scene) -> None:
    run = scene.start("pay")
    event = ("XADD", scene.keys.events, "*", "name", "a", "data", "{}")
    acts: list[tuple[Callable[[], object], str]] = [
        (lambda: scene.start("ship"), "runs"),
        (lambda: scene.redis.call(*event), "events"),
        (lambda: scene.claim(), "run"),
        (lambda: scene.publish("other"), "functions"),
        (lambda: None, "tick"),
    ]
    asyncio.run(heard(scene, run, acts))


def test_a_lost_redis_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise RedisUnavailable("no Redis")

    send = scene.redis.send
    acts: list[tuple[Callable[[], object], str]] = [
        (lambda: monkeypatch.setattr(scene.redis, "send", lost), "lost"),
        (lambda: monkeypatch.setattr(scene.redis, "send", send), "back"),
    ]
    asyncio.run(heard(scene, "", acts))
