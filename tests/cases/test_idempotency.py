"""One run for each event id and for each idempotency value, whoever routes what, and however often."""

from __future__ import annotations

import pytest
from cases.world import World

from qflow import Event
from qflow.cli.run import start
from qflow.errors import DefinitionError
from qflow.services.router import Router
from qflow.store import stream
from qflow.store.redis import Redis
from qflow.store.stream import Keep

DAY_S = 86_400


def define(world: World) -> None:
    world.app.function("pay", trigger="go", idempotency="event.data.order_id")(lambda: None)


def quiet(world: World) -> None:
    world.until(
        lambda: (
            world.redis.call("XINFO", "GROUPS", world.keys.events)[0][7]
            == world.redis.call("XREVRANGE", world.keys.events, "+", "-", "COUNT", 1)[0][0]
            and world.redis.call("XPENDING", world.keys.events, stream.GROUP)[0] == 0
        ),
        "every event to be routed",
        30,
    )


def test_a_value_starts_the_function_once(world: World) -> None:
    define(world)
    world.app.function("other", trigger="go")(lambda: None)
    world.worker()
    first = world.send("go", {"order_id": 1})
    run = world.run_of(first, "pay")
    again, number = world.send("go", {"order_id": 1}), world.send("go", {"order_id": 1.0})
    text = world.send("go", {"order_id": "1"})
    assert world.run_of(text, "pay") != run, "another value"
    assert world.run_of(again, "pay") == world.run_of(number, "pay") == run
    quiet(world)
    assert world.redis.call("ZCARD", world.keys.runs) == 2 + 4
    assert world.counter("duplicates") == 2
    names = world.redis.call("KEYS", world.keys.once("pay", "*"))
    assert len(names) == 2
    assert all(DAY_S - 60 < world.redis.call("TTL", name) <= DAY_S for name in names)


@pytest.mark.parametrize("value", [None, "", False])
def test_without_a_value_every_event_starts_it(world: World, value: object) -> None:
    define(world)
    world.worker()
    runs = {world.run_of(world.send("go", {"order_id": value}), "pay") for _ in range(3)}
    runs.add(world.run_of(world.send("go"), "pay"))
    assert len(runs) == 4


def test_the_same_event_id_starts_each_function_once(world: World) -> None:
    world.app.function("one", trigger="go")(lambda: None)
    world.publish()
    world.send("go", id="order-7")
    world.send("go", id="order-7")
    run = world.run_of("order-7", "one")
    quiet(world)
    assert world.redis.call("ZRANGE", world.keys.runs, 0, -1) == [run.encode()]


def test_a_run_started_by_hand_is_the_one_there_is(world: World) -> None:
    define(world)
    world.publish()
    keep = Keep(500, 700)
    first = start(world.redis, world.keys, "pay", {"order_id": 1}, keep)
    assert start(world.redis, world.keys, "pay", {"order_id": 1}, keep) == first
    assert start(world.redis, world.keys, "pay", {"order_id": 2}, keep) != first


def test_many_routers_and_every_entry_twice(world: World) -> None:
    define(world)
    world.stop(list(world._running))
    world.publish()
    events = [Event("go", {"order_id": n % 100}, id=f"e{n % 250}") for n in range(1000)]
    world.app.send(events)
    stream.ensure_group(world.redis, world.keys)
    stream.read(world.redis, world.keys, "dead", 300, 10)
    routers = [Router(Redis(world.url, 30), world.keys, Keep(500, 700), 50) for _ in range(3)]
    world.run_services(routers)
    quiet(world)
    found = world.redis.call("ZRANGE", world.keys.runs, 0, -1)
    assert len(found) == 100
    names = world.redis.call("KEYS", world.keys.once("pay", "*"))
    assert sorted(world.redis.call("MGET", *names)) == sorted(found)


def test_router_processes_that_are_killed(world: World) -> None:
    define(world)
    world.stop(list(world._running))
    world.publish()
    world.app.send([Event("go", {"order_id": n % 50}) for n in range(3000)])
    children = [world.spawn("run_router", {"QFLOW_LEASE": "1s"}) for _ in range(2)]
    world.until(lambda: world.redis.call("ZCARD", world.keys.runs) > 5, "the first runs")
    children[0].kill()
    world.spawn("run_router", {"QFLOW_LEASE": "1s"})
    quiet(world)
    assert world.redis.call("ZCARD", world.keys.runs) == 50


def test_a_bad_expression_is_refused_where_it_is_defined(world: World) -> None:
    with pytest.raises(DefinitionError, match="function 'f'.*idempotency.*unknown name 'x'"):
        world.app.function("f", trigger="go", idempotency="x.y")
