"""`event: Event[Model]` gives `event.data` that type, or fails the run saying why."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cases.world import World
from pydantic import BaseModel

from qflow import Event


class Signup(BaseModel):
    email: str
    age: int


@dataclass
class Order:
    number: int
    tags: list[str]


def test_pydantic_model(world: World) -> None:
    @world.app.function("typed", trigger="user/created")
    def typed(event: Event[Signup]) -> list[object]:
        return [type(event.data).__name__, event.data.email, event.data.age, event.name]

    world.worker()
    run = world.outcome("typed", "user/created", {"email": "jane@example.com", "age": "41"})
    assert run.output == ["Signup", "jane@example.com", 41, "user/created"]


def test_dataclass(world: World) -> None:
    @world.app.function("typed", trigger="order/placed")
    async def typed(event: Event[Order]) -> list[object]:
        return [type(event.data).__name__, event.data.number, event.data.tags]

    world.worker()
    run = world.outcome("typed", "order/placed", {"number": 3, "tags": ["a"]})
    assert run.output == ["Order", 3, ["a"]]


@pytest.mark.parametrize("model", [Signup, Order])
def test_data_that_does_not_fit_fails_the_run_at_once(world: World, model: type) -> None:
    entered = []

    def typed(event: object) -> None:
        entered.append(event)

    typed.__annotations__["event"] = Event[model]  # type: ignore[valid-type]
    world.app.function("typed", trigger="user/created")(typed)
    world.worker()
    error = world.outcome("typed", "user/created", {"number": "x"}).error
    assert error["name"] == "EventError"
    assert "'user/created'" in error["message"]
    assert model.__name__ in error["message"]
    assert not entered


def test_untyped_event_is_a_mapping_and_rich_values_survive(world: World) -> None:
    import datetime
    import decimal

    seen = []

    @world.app.function("plain", trigger="user/created")
    def plain(event: Event) -> None:
        seen.append(event)

    world.worker()
    data = {
        "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "sum": decimal.Decimal("1.10"),
    }
    world.outcome("plain", "user/created", data)
    assert seen[0].data == data
    assert seen[0].ts > 0 and seen[0].id
