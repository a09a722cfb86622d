"""The same event id within 24 hours starts each function once."""

from __future__ import annotations

from cases.world import World

from qflow import Event


def test_in_one_batch_and_later(world: World) -> None:
    ran = []

    @world.app.function("first", trigger="go")
    def first(event) -> None:  # type: ignore[no-untyped-def]
        ran.append(("first", event.data["n"]))

    @world.app.function("second", trigger="go")
    def second(event) -> None:  # type: ignore[no-untyped-def]
        ran.append(("second", event.data["n"]))

    world.worker()
    ids = world.app.send([Event("go", {"n": n}, id="the-same") for n in range(3)])
    assert ids == ["the-same"] * 3
    world.ended("the-same", "first")
    world.ended("the-same", "second")
    world.send("go", {"n": 3}, id="the-same")
    last = world.send("go", {"n": 4})
    world.ended(last, "first")
    world.ended(last, "second")
    assert sorted(ran) == [("first", 0), ("first", 4), ("second", 0), ("second", 4)]
    assert world.counter("duplicates") == 6
    ttl = world.redis.call("TTL", world.keys.seen("first", "the-same"))
    assert 86_000 < ttl <= 86_400


def test_an_entry_without_an_id_is_known_by_its_place_in_the_stream(world: World) -> None:
    ran = []

    @world.app.function("first", trigger="go")
    def first(event) -> None:  # type: ignore[no-untyped-def]
        ran.append(event.id)

    world.worker()
    entries = [
        world.redis.call("XADD", world.keys.events, "*", "name", "go").decode() for _ in range(2)
    ]
    for entry in entries:
        world.ended(entry, "first")
    assert sorted(ran) == sorted(entries)
