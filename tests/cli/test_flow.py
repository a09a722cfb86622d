"""`qflow limits` and `qflow events show`: what flow control does, and what became of an event."""

from __future__ import annotations

from typing import Any

import pytest
from cases.world import World
from cli.conftest import Command

from qflow import Batch, Concurrency, Debounce, EventTrigger, RateLimit, Singleton, Throttle
from qflow.read.audit import audit
from qflow.store import pause, script
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer

pytestmark = pytest.mark.leaves_keys("runs are left waiting")


@pytest.fixture
def world(redis: Redis, redis_server: RedisServer, keys: Keys, tmp_path: Any) -> Any:
    with World(redis_server.url, keys, tmp_path) as made:
        made.serve()
        yield made


def routed(world: World, name: str, function: str, data: dict[str, Any], **more: Any) -> str:
    event = world.send(name, data, **more)
    world.run_of(event, function)
    return event


def test_limits_says_who_holds_and_waits(world: World, qflow: Command) -> None:
    assert "no function has" in qflow("limits").out
    both = [Concurrency(3), Concurrency(2, key="event.data.tenant")]
    world.app.function("work", trigger="go", concurrency=both)(lambda: None)
    world.publish()
    for tenant in "aaaab":
        routed(world, "go", "work", {"tenant": tenant})
    every, each = qflow("limits", "--json").json
    assert (every["limit"], every["holders"], every["waiters"]) == (3, 3, 2)
    assert (each["limit"], each["keys"], each["of"]) == (2, 2, "work")
    assert each["busiest"] == [
        {"key": "a", "holders": 2, "waiters": 2},
        {"key": "b", "holders": 1, "waiters": 0},
    ]
    assert "a (2 + 2 waiting), b (1 + 0 waiting)" in " ".join(qflow("limits").out.split())
    assert audit(world.redis, world.keys, 0.02).findings == ()


def test_the_audit_finds_slots_and_places_without_a_run(world: World) -> None:
    world.app.function("work", trigger="go", concurrency=1)(lambda: None)
    world.publish()
    for _ in range(2):
        routed(world, "go", "work", {})
    redis, keys = world.redis, world.keys
    gone = "01ARYZ6S410000000000000000"
    redis.call("ZADD", keys.slots("fn:work:0=*"), 1, gone)
    redis.call("ZADD", keys.backlog("fn:work:0=*"), 1, gone)
    found = [(each.run, each.why) for each in audit(redis, keys, 0.02).findings]
    assert found == [
        (gone, "does not wait for a slot, but is in the backlog of fn:work:0=*"),
        (gone, "executes nothing, but holds a slot of fn:work:0=*"),
    ]
    redis.call("ZREM", keys.slots("fn:work:0=*"), gone)
    redis.call("DEL", keys.backlog("fn:work:0=*"))
    whys = [each.why for each in audit(redis, keys, 0.02).findings]
    assert whys == ["waits for a slot, but is in no backlog"]


def test_what_became_of_an_event(world: World, qflow: Command) -> None:
    def define(name: str, **more: Any) -> None:
        world.app.function(name, trigger="go", **more)(lambda: None)

    define("plain")
    define("limited", rate_limit=RateLimit(1, "1h"))
    define("slow", throttle=Throttle(1, "1h"))
    define("calm", debounce=Debounce("1h"))
    define("many", batch=Batch(10, "1h"))
    define("alone", singleton=Singleton())
    define("narrow", concurrency=1)
    define("once", idempotency="event.data.k")
    world.app.function("picky", trigger=EventTrigger("go", when="event.data.k > 5"))(lambda: None)
    world.app.function("other", trigger="else")(lambda: None)
    world.publish()
    first = routed(world, "go", "plain", {"k": 1}, ts=1000)
    second = routed(world, "go", "plain", {"k": 1}, ts=2000)
    late = routed(world, "go", "plain", {"k": 2}, ts=1500)

    def fates(event: str) -> dict[str, dict[str, Any]]:
        told = qflow("events", "show", event, "--json").json["functions"]
        return {each["function"]: each for each in told}

    told = fates(second)
    assert {name: each["outcome"] for name, each in told.items()} == {
        "plain": "started", "limited": "skipped", "slow": "delayed", "calm": "delayed",
        "many": "batched", "alone": "skipped", "narrow": "waiting", "once": "duplicate",
        "picky": "unmatched",
    }  # fmt: skip
    assert told["limited"]["why"] == "rate limit: 1 runs in 1h have started"
    assert told["many"]["why"].startswith("in a batch of 3 events: starts in 59m")
    assert told["narrow"]["why"] == "waits for a slot of fn:narrow:0=*"
    assert told["picky"]["why"] == "event.data.k is 1"
    assert fates(first)["calm"]["outcome"] == "replaced"
    assert fates(late)["calm"]["outcome"] == "ignored"
    assert fates(late)["once"]["outcome"] == "started"
    assert told["slow"]["why"].startswith("throttled: starts in 59m")
    assert told["calm"]["why"].startswith("debounced, in the place of 2 more: starts in ")
    assert fates(late)["calm"]["why"] == "debounced: it came after a newer event"
    shown = qflow("events", "show", second).out
    assert "limited" in shown
    assert "skipped" in shown
    assert qflow("events", "show", "nothing").code == 1


def test_what_was_held_back_says_so_afterwards(world: World, qflow: Command) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "spaced": {"throttle": Throttle(1, "50ms")},
        "calm": {"debounce": Debounce("100ms")},
        "behind": {"priority": "event.data.k == 2 ? -1 : 0"},
        "newest": {"singleton": Singleton(mode="cancel")},
        "asleep": {},
    }
    for name, control in kinds.items():
        world.app.function(name, trigger="go", **control)(lambda: None)
    world.publish()
    script.run(world.redis, pause.pause(world.keys, "asleep", "hold"))
    sent = [routed(world, "go", "asleep", {"k": n}) for n in (1, 2)]
    runs = [world.run_of(event, name) for name in ("spaced", "calm", "behind") for event in sent]
    world.until(
        lambda: all("due" not in world.look(run).fields for run in runs), "all to be queued"
    )

    def why(event: str, function: str) -> tuple[str, str]:
        told = qflow("events", "show", event, "--json").json["functions"]
        (found,) = (each for each in told if each["function"] == function)
        return found["outcome"], found["why"]

    assert why(sent[0], "spaced") == ("started", "")
    outcome, held = why(sent[1], "spaced")
    assert (outcome, held.partition(",")[0]) == ("started", "throttled")
    assert why(sent[0], "calm") == ("replaced", "debounced: a newer event followed")
    outcome, held = why(sent[1], "calm")
    assert (outcome, held.partition(" more,")[0]) == ("started", "debounced, in the place of 1")
    outcome, held = why(sent[1], "behind")
    assert (outcome, held.partition(",")[0]) == ("started", "behind its time by its priority")
    assert why(sent[0], "newest") == (
        "cancelled", f"singleton: event {sent[1]} takes its place",
    )  # fmt: skip
    assert why(sent[1], "asleep") == ("held", "its function is paused")
