"""What starts runs, what they sleep and what their events are, alike on Redis and in memory."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from parity.stages import Stage, about

from qflow import Event, EventTrigger, Middleware, Place, Sealed, Step, SyncStep


@dataclass
class User:
    """The model of an event."""

    id: int
    born: dt.date | None = None


def test_typed_events(stage: Stage) -> None:
    @stage.app.function("typed", trigger="user/created", retries=0)
    def typed(event: Event[User]) -> list[Any]:
        return [type(event.data).__name__, event.data.id, event.data.born]

    assert stage.ended(
        stage.send("user/created", {"id": 7, "born": "2020-02-29"}), "typed"
    ).output == ["User", 7, dt.date(2020, 2, 29)]
    run = stage.ended(stage.send("user/created", {"id": "seven"}), "typed")
    assert run.failure is not None and run.failure.name == "EventError"
    assert "does not fit User" in run.failure.message


def test_rich_event_data(stage: Stage) -> None:
    when = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)

    @stage.app.function("told", trigger="go")
    def told(event) -> Any:
        return event.data["when"]

    assert stage.ended(stage.send("go", {"when": when}), "told").output == when


def test_several_functions_on_one_event(stage: Stage) -> None:
    @stage.app.function("one", trigger="user/created")
    def one() -> int:
        return 1

    @stage.app.function("two", trigger=["user/*", "user/created"])
    def two() -> int:
        return 2

    @stage.app.function("other", trigger="order/*")
    def other() -> int:
        return 3

    event = stage.send("user/created")
    assert [stage.ended(event, fn).output for fn in ("one", "two")] == [1, 2]
    assert stage.ended(stage.send("order/eu.paid"), "other").output == 3
    stage.send("nobody/listens")
    assert stage.started() == {"one": 1, "two": 1, "other": 1}


def test_conditions(stage: Stage) -> None:
    pro = EventTrigger("user/created", when="event.data.plan == 'pro' && event.data.seats > 3")

    @stage.app.function("pro", trigger=pro)
    def greet(event) -> int:
        return event.data["seats"]

    @stage.app.function("each", trigger="user/created")
    def each() -> None:
        pass

    stage.send("user/created", {"plan": "free"})
    stage.send("user/created", {"plan": "pro"})
    event = stage.send("user/created", {"plan": "pro", "seats": 5})
    assert stage.ended(event, "pro").output == 5
    assert stage.started() == {"pro": 1, "each": 3}


def test_an_event_id_starts_each_function_once(stage: Stage) -> None:
    @stage.app.function("once", trigger="go")
    def once(event) -> int:
        return event.data["n"]

    for n in range(3):
        stage.send("go", {"n": n}, id="the-same")
    stage.send("go", {"n": 9}, id="another")
    assert stage.ended("the-same", "once").output == 0
    assert stage.ended("another", "once").output == 9
    assert stage.started() == {"once": 2}


def test_sleep(stage: Stage) -> None:
    @stage.app.function("nap", trigger="go")
    def nap(step: SyncStep) -> str:
        step.sleep("nap", "60ms")
        step.sleep("nap", 0.03)
        return "awake"

    run = stage.ended(stage.send("go"), "nap")
    assert run.output == "awake"
    assert run.told == [
        ("nap", 0, "sleep"), ("nap", 0, "ok"), ("nap:1", 0, "sleep"), ("nap:1", 0, "ok"),
    ]  # fmt: skip
    assert run.delays == about(60, 30)


def test_sleep_until(stage: Stage) -> None:
    zone = dt.timezone(dt.timedelta(hours=5))

    @stage.app.function("alarm", trigger="go", retries=0)
    async def alarm(event, step: Step) -> str:
        await step.sleep_until("alarm", event.data["when"])
        return "awake"

    past = stage.ended(stage.send("go", {"when": dt.datetime(2020, 1, 1, tzinfo=zone)}), "alarm")
    assert (past.output, past.told) == ("awake", [("alarm", 0, "sleep"), ("alarm", 0, "ok")])
    naive = stage.ended(stage.send("go", {"when": dt.datetime(2999, 1, 1)}), "alarm")
    assert naive.failure is not None and "has no time zone" in naive.failure.message


class Reversed(Middleware):
    """Stores the results of steps backwards."""

    def encode(self, text: str, place: Place) -> str:
        return Sealed("reversed", text[::-1]).to_json() if place.kind == "step" else text

    def decode(self, text: str, place: Place) -> str:
        sealed = Sealed.from_json(text)
        return text if sealed is None else sealed.text[::-1]


def test_middleware_that_encodes(stage: Stage) -> None:
    @stage.app.function("hidden", trigger="go", retries=0, middleware=[Reversed()])
    def hidden(event, step: SyncStep) -> list[int]:
        value = step.run("work", lambda n: n + 1, event.data["n"])
        step.sleep("re-enter", 0.01)
        return [value]

    assert stage.ended(stage.send("go", {"n": 7}), "hidden").output == [8]
