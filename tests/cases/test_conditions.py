"""Conditions of triggers: they choose among the functions of a name, and none blocks another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from cases.world import World

import qflow
from qflow import EventTrigger


class Started:
    """Which functions ran for which events, each a condition on events named `go`."""

    def __init__(self, world: World, conditions: Mapping[str, str | None]) -> None:
        self.world = world
        self.runs: list[tuple[str, str]] = []
        for function, when in conditions.items():
            self._define(function, EventTrigger("go", when=when))
        self._define("every", EventTrigger("go"))
        world.worker()

    def _define(self, function: str, *triggers: EventTrigger) -> None:
        @self.world.app.function(function, trigger=list(triggers))
        def handler(event) -> None:  # type: ignore[no-untyped-def]
            self.runs.append((function, event.id))

    def by(self, data: Mapping[str, Any]) -> set[str]:
        """Send an event; return what it started, once the function without a condition has run."""
        event = self.world.send("go", data)
        self.world.ended(event, "every")
        keys, functions = self.world.keys, self.world.app.functions
        seen = {f for f in functions if self.world.redis.call("GET", keys.seen(f, event))}
        return seen - {"every"}


def test_a_condition_chooses(world: World) -> None:
    started = Started(
        world,
        {
            "pro": "event.data.plan == 'pro'",
            "other": "event.data.plan != 'pro'",
            "large": "event.data.amount > 100 && event.name == 'go' && event.ts > 0",
            "recent": "event.ts > now_minus('1h') && date(event.data.day) < now()",
        },
    )
    assert started.by({"plan": "pro", "amount": 7}) == {"pro", "recent"}
    assert started.by({"plan": "free", "amount": 101, "day": "2024-01-01"}) == {
        "other", "large", "recent",
    }  # fmt: skip


def test_missing_paths_are_null(world: World) -> None:
    started = Started(
        world,
        {
            "null": "event.data.a.b.c == null",
            "equal": "event.data.a.b.c == 'x'",
            "unequal": "event.data.a.b.c != 'x'",
            "less": "event.data.a.b.c < 5",
            "greater": "event.data.a.b.c > 5",
            "size": "size(event.data.a.b.c) == 0",
            "default": "(event.data.a.b.c || 'none') == 'none'",
        },
    )
    assert started.by({}) == {"null", "unequal", "less", "size", "default"}
    assert started.by({"a": {"b": {"c": "x"}}}) == {"equal"}


def test_kinds_mix(world: World) -> None:
    started = Started(
        world,
        {
            "text-as-number": "event.data.n > 100",
            "no-order": "event.data.t > 100 || event.data.t < 100 || event.data.t == 100",
            "joined": "event.data.t + event.data.n == 'abc250'",
        },
    )
    assert started.by({"n": "250", "t": "abc"}) == {"text-as-number", "joined"}
    assert started.by({"n": 250, "t": "abc"}) == {"text-as-number", "joined"}


def test_a_condition_that_fails_blocks_no_other_and_is_told_once(world: World) -> None:
    started = Started(
        world,
        {
            "sized": "size(event.data.n) > 1",
            "costly": "event.data.l.exists(a, event.data.l.exists(b, event.data.l.exists(c, a < 0)))",
            "good": "event.data.n == 7",
        },
    )
    data = {"n": 7, "l": list(range(1000))}
    assert started.by(data) == {"good"}
    assert started.by(data) == {"good"}
    assert started.by({"n": "7 apples"}) == {"sized"}
    told = world.emitted("trigger.failed")
    assert sorted(each["function"] for each in told) == ["costly", "sized"]
    assert not world.emitted("loop.failed")


def test_a_function_starts_once_though_several_triggers_match(world: World) -> None:
    runs: list[str] = []

    @world.app.function(
        "once",
        trigger=[
            EventTrigger("order/paid", when="event.data.total > 10"),
            EventTrigger("order/*", when="event.data.vip"),
            EventTrigger("order/paid", when="has(event.data.total)"),
        ],
    )
    def once(event) -> None:  # type: ignore[no-untyped-def]
        runs.append(event.id)

    world.worker()
    sent = world.send("order/paid", {"total": 50, "vip": True})
    assert world.ended(sent, "once").status == "completed"
    assert runs == [sent]
    unmatched = world.send("order/shipped", {"vip": False})
    world.until(lambda: world.emitted("event.unmatched"), "the event to be routed")
    assert world.emitted("event.unmatched") == [
        {"name": "order/shipped", "id": unmatched, "unmet": 1}
    ]


def test_a_condition_is_refused_where_it_is_defined(world: World) -> None:
    with pytest.raises(
        qflow.DefinitionError,
        match=r"^function 'f' of app 'tests': trigger 'go' when, column 17: === is no operator",
    ):
        world.app.function("f", trigger=EventTrigger("go", when="event.data.plan === 'pro'"))
    assert "f" not in world.app.functions


def test_a_changed_condition_holds_from_the_next_event_on(world: World) -> None:
    started = Started(world, {"changes": "event.data.n == 1"})
    assert started.by({"n": 1}) == {"changes"}
    newer = world.make_app("tests")
    newer.function("changes", trigger=EventTrigger("go", when="event.data.n == 2"))(lambda: None)
    newer.function("every", trigger="go")(lambda: None)
    world.publish(newer)
    assert started.by({"n": 1}) == set()
    assert started.by({"n": 2}) == {"changes"}
