"""A step waits for an event: by name, by value, by condition, with a time-out, looking back."""

from __future__ import annotations

import pytest
from cases.world import FAST, World

from qflow import Event, Step, SyncStep


def waiting(world: World, run: str) -> None:
    world.until(lambda: world.redis.call("HLEN", world.keys.waits(run)), "the wait to begin")


def test_sync(world: World) -> None:
    ran = []

    @world.app.function("order", trigger="order/created")
    def order(event: Event, step: SyncStep) -> str:
        step.run("note", ran.append, 1)
        paid = step.wait_for_event("paid", "order/paid", match="data.id", timeout="1m")
        assert isinstance(paid, Event)
        return f"{paid.name} {paid.data['by']}"

    world.worker()
    sent = world.send("order/created", {"id": 7})
    run = world.run_of(sent, "order")
    waiting(world, run)
    assert world.until_status(run, "waiting").fields["lane"].startswith("w|")
    world.send("order/paid", {"id": 8, "by": "nobody"})
    world.send("order/paid", {"id": "7", "by": "text"})
    world.send("order/paid", {"id": 7.0, "by": "card"})
    ended = world.ended(sent, "order")
    assert ended.output == "order/paid card"
    assert ran == [1]
    assert world.redis.call("EXISTS", world.keys.open(run)) == 0


def test_async_many_in_a_row(world: World) -> None:
    @world.app.function("order", trigger="order/created")
    async def order(event: Event, step: Step) -> list[int]:
        got = []
        for _ in range(3):
            said = await step.wait_for_event("said", ["order/said", "order/told"], match="data.id")
            assert said is not None
            got.append(said.data["n"])
        return got

    world.worker()
    sent = world.send("order/created", {"id": 1})
    for n in range(3):
        world.send("order/told" if n == 1 else "order/said", {"id": 1, "n": n})
    assert world.ended(sent, "order").output == [0, 1, 2], "in their order, none twice"


def test_time_out(world: World) -> None:
    @world.app.function("order", trigger="go")
    def order(step: SyncStep) -> object:
        return [step.wait_for_event("paid", "never", timeout=0.05), step.run("after", lambda: 1)]

    world.worker()
    run = world.outcome("order", "go")
    assert run.output == [None, 1]
    assert world.redis.call("ZCARD", world.keys.scheduled) == 0


def test_looks_back_to_where_the_run_began(world: World) -> None:
    @world.app.function("order", trigger="order/created")
    def order(event: Event, step: SyncStep) -> object:
        step.sleep("a while", 0.3)
        paid = step.wait_for_event("paid", "order/paid", match="data.id", timeout="5s")
        return paid and paid.data["n"]

    world.worker()
    for first in (True, False):  # first the stream is read, then the routers' index
        world.send("order/paid", {"id": 5, "n": "too early"})
        sent = world.send("order/created", {"id": 5})
        world.send("order/paid", {"id": 5, "n": first})
        assert world.ended(sent, "order").output is first


def test_since_now(world: World) -> None:
    @world.app.function("order", trigger="order/created")
    def order(event: Event, step: SyncStep) -> object:
        step.sleep("a while", 0.2)
        return step.wait_for_event("paid", "order/paid", timeout=0.05, since="now")

    world.worker()
    sent = world.send("order/created")
    world.send("order/paid")
    assert world.ended(sent, "order").output is None


def test_the_run_s_own_trigger_never_counts(world: World) -> None:
    @world.app.function("order", trigger="order/created")
    def order(step: SyncStep) -> object:
        again = step.wait_for_event("again", "order/created", match="data.id", timeout=0.2)
        return again and again.data

    world.worker()
    world.outcome("order", "order/created", {"id": 1})
    assert world.outcome("order", "order/created", {"id": 2}).output is None


def test_a_condition(world: World) -> None:
    @world.app.function("order", trigger="order/created")
    def order(event: Event, step: SyncStep) -> object:
        paid = step.wait_for_event(
            "paid", "order/paid", when="async.data.sum >= event.data.sum", timeout="1m"
        )
        return paid and paid.data["sum"]

    @world.app.function("broken", trigger="order/created")
    def broken(step: SyncStep) -> object:
        return step.wait_for_event(
            "paid", "order/paid", when="int(async.data.sum) / 0 == 1", timeout="1s"
        )

    world.worker()
    sent = world.send("order/created", {"sum": 10})
    run = world.run_of(sent, "order")
    waiting(world, run)
    waiting(world, world.run_of(sent, "broken"))
    world.send("order/paid", {"sum": 9})
    world.send("order/paid", {"sum": 11})
    assert world.ended(sent, "order").output == 11
    assert world.ended(sent, "broken").output is None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"event": ""}, "an event needs a name"),
        ({"event": []}, "must be a name"),
        ({"event": "order/*"}, "wildcard"),
        ({"event": "a", "match": "order_id"}, "is no path into an event"),
        ({"event": "a", "match": "data.nothing"}, "which has nothing there"),
        ({"event": "a", "match": "data.list"}, "which has list there"),
        ({"event": "a", "when": "async.data.x ==="}, "when"),
        ({"event": "a", "when": "nobody.data.x"}, "nobody"),
        ({"event": "a", "timeout": "-1s"}, "is negative"),
        ({"event": "a", "timeout": "999d"}, "longer than 366 days"),
    ],
)
def test_misuse_fails_at_once(world: World, arguments: dict[str, object], problem: str) -> None:
    @world.app.function("order", trigger="go", backoff=FAST)
    def order(step: SyncStep) -> object:
        return step.wait_for_event("paid", **arguments)  # type: ignore[arg-type]

    world.worker()
    run = world.outcome("order", "go", {"list": [1]})
    assert "step.wait_for_event('paid')" in run.error["message"]
    assert problem in run.error["message"]
    assert run.told("retry") == []
