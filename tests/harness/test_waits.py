"""Waits in a harness: events, signals, approvals and invoked runs, and what is said of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from qflow import App, Event, Middleware, Place, Sealed, Step, StepError, SyncStep
from qflow.errors import UsageError
from qflow.testing import Harness, Moment, StepRecord

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def app() -> App:
    return App("shop")


def order(event: Event, step: SyncStep) -> str:
    paid = step.wait_for_event("paid", "order/paid", match="data.id", timeout="3d")
    return "cancelled" if paid is None else f"paid by {paid.data['by']}"


def test_an_event_ends_a_wait(app: App) -> None:
    app.function("order", trigger="order/created")(order)
    with Harness(app, now=NOON) as world:
        [run] = world.send("order/created", {"id": 7})
        assert run.due == NOON + dt.timedelta(days=3)
        assert (
            repr(run)
            == "<run of 'order': waiting for event 'order/paid' (step 'paid'), another 3d>"
        )
        assert run.step("paid") == StepRecord("paid", "waiting", 0)
        world.advance("2d")
        assert world.send("order/paid", {"id": 8}) == ()
        assert run.status == "waiting"
        world.send("order/paid", {"id": 7, "by": "card"})
        assert run.output == "paid by card"
        assert run.timeline == [
            Moment("0s", "paid", 0, "wait"),
            Moment("2d", "paid", 0, "ok"),
            Moment("2d", "", 0, "completed"),
        ]


def test_a_wait_times_out_at_its_time(app: App) -> None:
    app.function("order", trigger="order/created")(order)
    with Harness(app) as world:
        [run] = world.send("order/created", {"id": 7})
        world.advance("4d")
        assert run.output == "cancelled"
        assert run.timeline[1:] == [
            Moment("3d", "paid", 0, "timeout"), Moment("3d", "", 0, "completed"),
        ]  # fmt: skip


def test_signals(app: App) -> None:
    @app.function("door", trigger="go")
    async def door(step: Step) -> Any:
        return await step.wait_for_signal("bell", "bell")

    with Harness(app) as world:
        assert not world.signal("bell")
        [run] = world.send("go")
        assert (run.due, repr(run)) == (
            None, "<run of 'door': waiting for signal 'bell' (step 'bell')>",
        )  # fmt: skip
        with pytest.raises(
            UsageError, match="time does not bring what it waits for: <run of 'door'"
        ):
            world.finish(run)
        assert world.signal("bell", {"who": "Jane"})
        assert run.output == {"who": "Jane"}
        assert not app.signal("bell"), "what the App is asked comes here, too"


def test_approvals(app: App) -> None:
    @app.function("refund", trigger="go")
    def refund(step: SyncStep) -> list[Any]:
        decision = step.approval("ask", "Refund 90 €?", assignee="ann", timeout="1d")
        return [decision.approved, decision.by, decision.note] if decision else []

    with Harness(app) as world:
        [run] = world.send("go")
        assert "waiting for approval 'Refund 90 €?' (step 'ask')" in repr(run)
        world.decide(run, "ask", approved=False, by="ann", note="no")
        assert run.output == [False, "ann", "no"]
        with pytest.raises(UsageError, match="no approval of step 'ask' is asked for"):
            world.decide(run, "ask", approved=True)
        [run] = world.send("go")
        world.advance("1d")
        assert run.output == []


def test_invoked_runs_are_runs_of_the_world(app: App) -> None:
    def unreachable() -> int:
        raise ConnectionError("down")

    @app.function("child", trigger="never", retries=0)
    def child(event: Event, step: SyncStep) -> int:
        step.sleep("nap", "1h")
        return step.run("work", unreachable)

    @app.function("parent", trigger="go")
    async def parent(step: Step) -> Any:
        try:
            return await step.invoke("child", child, data={"n": 1})
        except StepError as error:
            return error.message

    with Harness(app) as world:
        world.stub(child, "work", raises=[OSError("disk")], returns=7)
        first, second = world.start(parent), world.start(parent)
        assert [run.function_id for run in world.runs] == ["parent", "child"] * 2
        world.finish()
        assert (first.output, second.output) == ("disk", 7)
        assert first.timeline[-2] == Moment("1h", "child", 0, "failed")


def test_events_that_steps_send(app: App) -> None:
    @app.function("fan-out", trigger="go")
    def fan_out(step: SyncStep) -> None:
        step.send_event("parts", [Event("part", {"n": n}) for n in range(2)])

    @app.function("part", trigger="part")
    def part(event: Event) -> int:
        return event.data["n"]

    with Harness(app, always_replay=True) as world:
        world.send("go")
        assert [run.output for run in world.runs] == [None, 0, 1]
        assert [event.data for event in world.events] == [{}, {"n": 0}, {"n": 1}]


class Reversed(Middleware):
    """Stores everything backwards."""

    def encode(self, text: str, place: Place) -> str:
        sealed = Sealed("reversed", text[::-1]).to_json()
        return f'{{"all":{sealed}}}' if place.kind == "event" else sealed

    def decode(self, text: str, place: Place) -> str:
        sealed = Sealed.from_json(text[7:-1] if place.kind == "event" else text)
        return text if sealed is None else sealed.text[::-1]


@pytest.mark.parametrize("always_replay", [False, True])
def test_middleware_that_encodes_everything(always_replay: bool) -> None:
    app = App("sealed", middleware=[Reversed()])

    @app.function("child", trigger="never")
    def child(event: Event) -> Any:
        return event.data

    @app.function("parent", trigger="go")
    async def parent(event: Event, step: Step) -> Any:
        await step.send_event("send", Event("told", {"n": 5}))
        return await asyncio.gather(
            step.invoke("child", child, data={"n": 1}),
            step.wait_for_event("told", "told"),
            step.run("work", lambda n: n + 1, event.data["n"]),
        )

    with Harness(app, always_replay=always_replay) as world:
        [run] = world.send("go", {"n": 7})
        world.finish(run)
        output, told, worked = run.output
        assert (output, told.data, worked) == ({"n": 1}, {"n": 5}, 8)
        assert run.event.data == {"n": 7}
        assert run.step("work").value == 8
        assert [event.data for event in world.events] == [{"n": 7}, {"n": 5}]
