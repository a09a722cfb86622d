"""The router: any number share the stream, and what a dead one had read is taken over."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from cases.world import World

from qflow import Event
from qflow.services.router import Router
from qflow.store import stream
from qflow.store.redis import Redis


def router(world: World, takeover_ms: int = 30_000) -> Router:
    return Router(Redis(world.url, 30), world.keys, stream.Keep(500, 700), takeover_ms)


@pytest.fixture
def defined(world: World) -> World:
    world.app.function("one", trigger="go")(lambda: None)
    world.app.function("two", trigger="go")(lambda: None)
    return world


def runs_by_event(world: World) -> Counter[tuple[str, str]]:
    runs = world.redis.call("ZRANGE", world.keys.runs, 0, -1)
    found = world.redis.pipeline(
        [("HMGET", world.keys.run(run.decode()), "event_id", "fn") for run in runs]
    )
    return Counter((event.decode(), fn.decode()) for event, fn in found)


def test_many_routers_start_every_function_once(defined: World) -> None:
    world = defined
    world.run_services([router(world) for _ in range(3)])
    world.publish()
    ids = world.app.send([Event("go", {"n": n}) for n in range(1500)])
    world.until(lambda: world.redis.call("ZCARD", world.keys.runs) == 3000, "all runs", 30)
    assert runs_by_event(world) == {(event, fn): 1 for event in ids for fn in ("one", "two")}
    world.until(
        lambda: world.redis.call("XPENDING", world.keys.events, stream.GROUP)[0] == 0,
        "acknowledged",
    )


def test_what_a_dead_router_had_read_is_taken_over(defined: World) -> None:
    world = defined
    world.stop(list(world._running))
    stream.ensure_group(world.redis, world.keys)
    ids = world.app.send([Event("go") for _ in range(5)])
    assert len(stream.read(world.redis, world.keys, "dead", 3, 10)) == 3
    world.publish()
    world.run_services([router(world, takeover_ms=100)])
    world.until(lambda: world.redis.call("ZCARD", world.keys.runs) == 10, "all runs")
    assert runs_by_event(world) == {(event, fn): 1 for event in ids for fn in ("one", "two")}


def test_functions_published_while_it_runs_count_at_once(world: World) -> None:
    world.app.function("one", trigger="go")(lambda: None)
    world.publish()
    first = world.send("go")
    world.run_of(first, "one")
    world.app.function("two", trigger="go")(lambda: None)
    world.publish()
    second = world.send("go")
    world.run_of(second, "two")
    assert world.redis.call("GET", world.keys.seen("two", first)) is None


def test_a_stopped_router_leaves_the_group(defined: World) -> None:
    world = defined
    world.stop(list(world._running))
    world.publish()
    (running,) = world.run_services([router(world)])
    world.run_of(world.send("go"), "one")
    world.stop([running])
    assert world.redis.call("XINFO", "CONSUMERS", world.keys.events, stream.GROUP) == []


def test_a_stopped_router_keeps_its_place_while_entries_are_open(defined: World) -> None:
    world = defined
    world.stop(list(world._running))
    world.publish()
    made = router(world)
    made.start()
    world.send("go")
    assert len(stream.read(world.redis, world.keys, made.name, 10, 10)) == 1
    made.stop()
    consumers = world.redis.call("XINFO", "CONSUMERS", world.keys.events, stream.GROUP)
    assert len(consumers) == 1, "deleting it would forget what it had read"


def test_after_an_error_it_goes_on_with_what_it_had_read(
    defined: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = defined
    world.stop(list(world._running))
    world.publish()
    made = router(world, takeover_ms=500)
    failing = threading.Event()
    real = Router._route

    def route(self: Router, entries: list[stream.Entry]) -> None:
        if not failing.is_set():
            failing.set()
            raise RuntimeError("a bug")
        real(self, entries)

    monkeypatch.setattr(Router, "_route", route)
    world.run_services([made])
    event = world.send("go")
    world.run_of(event, "one")
    assert any("a bug" in fields["error"] for fields in world.emitted("loop.failed"))


def test_it_survives_a_deleted_stream(defined: World) -> None:
    world = defined
    world.publish()
    world.run_of(world.send("go"), "one")
    world.redis.call("DEL", world.keys.events)
    event = world.send("go")
    world.run_of(event, "one")
