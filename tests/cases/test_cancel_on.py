"""cancel_on: an event with the same value cancels a run, if it came after the run's own."""

from __future__ import annotations

from typing import Any

import pytest
from cases.world import World

from qflow import CancelOn, Event, SyncStep
from qflow.errors import DefinitionError
from qflow.services.router import Router
from qflow.store import stream
from qflow.store.redis import Redis


def nap(step: SyncStep) -> None:
    step.sleep("long", "1d")


def order(world: World, **data: Any) -> str:
    run = world.run_of(world.send("order/placed", data), "ship")
    world.until_status(run, "waiting")
    return run


def define(world: World, *rules: CancelOn) -> None:
    world.app.function("ship", trigger="order/placed", cancel_on=list(rules))(nap)


def test_only_runs_with_the_same_value(world: World) -> None:
    define(world, CancelOn("order/cancelled", match="data.order.id"))
    world.worker()
    one, two = order(world, order={"id": 1}), order(world, order={"id": 2})
    none = order(world, other=1)
    event = world.send("order/cancelled", {"order": {"id": 1.0}})
    found = world.until_status(one, "cancelled")
    assert found.fields["reason"] == f"event order/cancelled {event}"
    world.send("order/cancelled", {"nothing": True})
    world.send("order/cancelled", {"order": {"id": "2"}})
    world.until(lambda: world.redis.call("XPENDING", world.keys.events, "router")[0] == 0, "all")
    assert [world.look(run).status for run in (two, none)] == ["waiting", "waiting"]


def test_without_a_match_every_run_of_the_function(world: World) -> None:
    define(world, CancelOn("shop/*"))
    world.app.function("other", trigger="order/placed")(nap)
    world.worker()
    runs = [order(world, n=n) for n in range(3)]
    spared = world.run_of(world.send("order/placed"), "other")
    world.send("shop/closed")
    for run in runs:
        world.until_status(run, "cancelled")
    assert world.until_status(spared, "waiting").status == "waiting"


def test_a_condition_over_both_events(world: World) -> None:
    define(world, CancelOn("shop/closed", when="async.data.city == event.data.city"))
    world.worker()
    one, two = order(world, city="Bonn"), order(world, city="Ulm")
    world.send("shop/closed", {"city": "Bonn"})
    world.until_status(one, "cancelled")
    assert world.look(two).status == "waiting"


def test_a_run_is_cancelled_before_it_starts_and_a_later_one_is_not(world: World) -> None:
    define(world, CancelOn("order/cancelled", match="data.id"))
    world.publish()
    first = world.run_of(world.send("order/placed", {"id": 1}), "ship")
    world.send("order/cancelled", {"id": 1})
    world.until_status(first, "cancelled")
    later = world.run_of(world.send("order/placed", {"id": 1}), "ship")
    world.worker()
    assert world.until_status(later, "waiting").status == "waiting"


def test_both_events_in_one_batch(world: World) -> None:
    define(world, CancelOn("order/cancelled", match="data.id"))
    world.stop(list(world._running))
    events = [
        Event(name, {"id": n}) for n in range(50) for name in ("order/placed", "order/cancelled")
    ]
    world.app.send(events)
    world.publish()
    world.serve(scheduler=False)
    world.until(
        lambda: world.redis.call("ZCARD", world.keys.by_status("cancelled")) == 50, "all cancelled"
    )
    assert world.redis.call("LLEN", world.keys.queue) == 0


def test_the_cancelling_event_is_routed_first_by_another_router(world: World) -> None:
    define(world, CancelOn("order/cancelled", match="data.id"))
    world.stop(list(world._running))
    world.publish()
    stream.ensure_group(world.redis, world.keys)
    placed = world.send("order/placed", {"id": 1})
    assert len(stream.read(world.redis, world.keys, "slow", 1, 10)) == 1
    world.send("order/cancelled", {"id": 1})
    quick = Router(Redis(world.url, 30), world.keys, stream.Keep(500, 700), 100)
    world.run_services([quick])  # it takes the other one's entry over after that
    found = world.until_status(world.run_of(placed, "ship"), "cancelled")
    assert found.told("claim") == []


def test_not_after_its_time(world: World) -> None:
    define(world, CancelOn("order/cancelled", match="data.id", timeout="50ms"))
    world.worker()
    run = order(world, id=1)
    began = world.look(run).fields["created"]
    world.until(lambda: _now_ms(world) > int(began) + 200, "the time to pass")
    world.send("order/cancelled", {"id": 1})
    world.until(lambda: world.redis.call("XPENDING", world.keys.events, "router")[0] == 0, "all")
    assert world.look(run).status == "waiting"


def test_a_run_started_by_hand_or_by_a_schedule_has_its_rules_too(world: World) -> None:
    from qflow.cli.run import start
    from qflow.store.stream import Keep

    define(world, CancelOn("order/cancelled", match="data.id"))
    world.worker()
    run = start(world.redis, world.keys, "ship", {"id": 7}, Keep(500, 700))
    world.until_status(run, "waiting")
    world.send("order/cancelled", {"id": 7})
    assert world.until_status(run, "cancelled").status == "cancelled"


def test_an_event_costs_the_same_with_many_other_runs(world: World) -> None:
    define(world, CancelOn("order/cancelled", match="data.id"))
    world.publish()
    world.app.send([Event("order/placed", {"id": n}) for n in range(2000)])
    world.until(lambda: world.redis.call("ZCARD", world.keys.runs) == 2000, "all runs", 30)
    before = _calls(world)
    world.send("order/cancelled", {"id": 1234})
    world.until(lambda: world.redis.call("ZCARD", world.keys.by_status("cancelled")) == 1, "one")
    assert _calls(world) - before < 200


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CancelOn("a*"), "can never match"),
        (lambda: CancelOn("a", match="order_id"), 'match must be a path such as "data.order_id"'),
        (lambda: CancelOn("a", match="data.x == 1"), "match must be a path"),
        (lambda: CancelOn("a", timeout="soon"), "is not a duration"),
        (lambda: CancelOn("a", when="asink.data.x"), "when, column 1: unknown name 'asink'"),
    ],
)
def test_rules_that_cannot_work(make: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        make()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("order/cancelled", "takes CancelOn"),
        ([CancelOn("a"), CancelOn("a")], "stands twice"),
        ([CancelOn(f"a{n}") for n in range(6)], "6 rules in cancel_on; 5 at most"),
    ],
)
def test_bad_arguments(world: World, rules: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=f"function 'f'.*{words}"):
        world.app.function("f", trigger="go", cancel_on=rules)


def _now_ms(world: World) -> int:
    seconds, micros = world.redis.call("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def _calls(world: World) -> int:
    stats = world.redis.call("INFO", "stats").decode()
    line = next(line for line in stats.splitlines() if line.startswith("total_commands_processed"))
    return int(line.partition(":")[2])
