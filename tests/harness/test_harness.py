"""The harness as users see it: time, stubs, runs and what is said of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from qflow import App, Backoff, Cron, Event, EventError, RetryAfterError, Step, SyncStep
from qflow.core.ids import is_ulid
from qflow.errors import UsageError
from qflow.testing import Harness, Moment, RunFailed, StepRecord

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
STEADY = Backoff(base="10s", factor=2, max="1h", jitter=False)


@pytest.fixture
def app() -> App:
    return App("shop")


def deliver(address: str) -> str:
    raise AssertionError("real mail is sent")


def onboard(event: Event, step: SyncStep) -> list[Any]:
    sent = step.run("send-mail", deliver, event.data["email"])
    step.sleep("wait", "30d")
    return [sent, step.run("remind", deliver, event.data["email"])]


def test_the_story_of_a_run(app: App) -> None:
    app.function("onboarding", trigger="user/created", backoff=STEADY)(onboard)
    with Harness(app, now=NOON) as world:
        mail = world.stub("onboarding", "send-mail", raises=[TimeoutError("slow")], returns="sent")
        world.stub("onboarding", "remind", str.upper)
        [run] = world.send("user/created", {"email": "j@x.org"})
        assert (run.status, run.due) == ("waiting", NOON + dt.timedelta(seconds=10))
        assert repr(run) == (
            "<run of 'onboarding': waiting for attempt 1 of step 'send-mail', another 10s>"
        )
        world.advance("31d")
        assert world.now == NOON + dt.timedelta(days=31)
        assert (run.status, run.due, run.output) == ("completed", None, ["sent", "J@X.ORG"])
        assert run.timeline == [
            Moment("0s", "send-mail", 0, "retry"),
            Moment("10s", "send-mail", 1, "ok"),
            Moment("10s", "wait", 0, "sleep"),
            Moment("30d10s", "wait", 0, "ok"),
            Moment("30d10s", "remind", 0, "ok"),
            Moment("30d10s", "", 0, "completed"),
        ]
        assert run.timeline[0].error == "TimeoutError: slow"
        assert mail.calls == [(("j@x.org",), {})] * 2
        assert run.step("send-mail") == StepRecord(
            "send-mail", "ok", 2, "sent", "TimeoutError: slow"
        )
        assert list(run.steps) == ["send-mail", "wait", "remind"]
        assert run.event.data == {"email": "j@x.org"}
        assert run.created == NOON and is_ulid(run.id)


def test_time_comes_to_runs_in_order(app: App) -> None:
    woken = []

    @app.function("nap", trigger="nap")
    def nap(event: Event, step: SyncStep) -> None:
        step.sleep("nap", event.data["s"])
        step.run("wake", woken.append, event.data["s"])

    with Harness(app) as world:
        for seconds in (30, 10, 20, 10.5):
            world.send("nap", {"s": seconds})
        world.advance("20s")
        assert woken == [10, 10.5, 20]
        world.advance_to(world.now + dt.timedelta(seconds=10))
        assert woken == [10, 10.5, 20, 30]


def test_the_default_backoff_is_the_same_each_time(app: App) -> None:
    def down() -> None:
        raise ConnectionError("down")

    @app.function("retried", trigger="go")
    def retried(step: SyncStep) -> None:
        step.run("down", down)

    stories = []
    for now in (NOON, NOON + dt.timedelta(days=99)):
        with Harness(app, now=now) as world:
            [run] = world.send("go")
            world.finish(run)
            stories.append(run.timeline)
    assert stories[0] == stories[1]
    at = [moment.at.total_seconds() for moment in stories[0][:5]]
    assert all(at[n] <= at[n + 1] <= at[n] + most for n, most in enumerate((15, 30, 60, 120)))
    assert at[4] > 10


def test_cron(app: App) -> None:
    @app.function("digest", trigger=Cron("0 9 * * MON", tz="Europe/Berlin"))
    async def digest(event: Event, step: Step) -> int:
        return await step.run("ms", lambda: event.data["scheduled_ms"])

    with Harness(app, now=NOON) as world:
        world.advance("15d")
        starts = [run.created for run in world.runs]
        assert starts == [dt.datetime(2026, 3, day, 8, tzinfo=dt.UTC) for day in (2, 9, 16)]
        assert world.runs[0].output == starts[0].timestamp() * 1000
        assert world.runs[0].event.name == "qflow/cron"


def test_cron_jitter(app: App) -> None:
    app.function("spread", trigger=Cron("@hourly", jitter="5m"))(lambda: None)
    with Harness(app, now=NOON) as world:
        world.advance("10h")
        minutes = [run.created.minute * 60 + run.created.second for run in world.runs]
    assert len(minutes) in (9, 10)
    assert max(minutes) <= 300 and len(set(minutes)) > 3


def test_start_goes_past_triggers(app: App) -> None:
    @app.function("paid", trigger=["order/*", "order/paid"])
    def paid(event: Event) -> list[Any]:
        return [event.name, event.data]

    @app.function("hourly", trigger=Cron("@hourly"))
    def hourly(event: Event) -> str:
        return event.name

    with Harness(app) as world:
        assert world.start(paid, {"n": 1}).output == ["order/paid", {"n": 1}]
        assert world.start("hourly").output == "qflow/function.invoked"
        with pytest.raises(
            UsageError, match="no function 'daily'; its apps define 'paid', 'hourly'"
        ):
            world.start("daily")


def test_events_of_code_under_test(app: App) -> None:
    """What the App sends comes to the harness: from the test, and from within a step."""

    @app.function("fan-out", trigger="go")
    async def fan_out(step: Step) -> None:
        await step.run("send", lambda: app.send([Event("part", {"n": n}) for n in range(2)]))
        await step.run("asend", app.asend, Event("part", {"n": 2}))

    @app.function("part", trigger="part")
    def part(event: Event) -> int:
        return event.data["n"]

    with Harness(app, now=NOON) as world:
        app.send(Event("go"))
        assert world.runs == ()
        world.settle()
        assert [run.output for run in world.runs] == [None, 0, 1, 2]
        assert [event.name for event in world.events] == ["go", "part", "part", "part"]
        assert {event.ts for event in world.events} == {int(NOON.timestamp() * 1000)}


def test_send_returns_what_this_event_started(app: App) -> None:
    app.function("one", trigger="a")(lambda: None)
    app.function("two", trigger="a")(lambda: app.send(Event("b")))
    app.function("three", trigger="b")(lambda: None)
    with Harness(app) as world:
        assert [run.function_id for run in world.send("a", id="x")] == ["one", "two"]
        assert world.send("a", id="x") == ()
        world.advance("24h")
        assert len(world.send("a", id="x")) == 2, "a day later the id is free again"
        assert len(world.send([Event("b"), Event("b"), Event("nobody")])) == 2
        with pytest.raises(EventError, match="reserved"):
            world.send("qflow/x")


def test_errors(app: App) -> None:
    @app.function("broken", trigger="go", retries=0)
    def broken(step: SyncStep, event: Event) -> None:
        if event.data:
            raise LookupError("no such user")
        step.run("charge", lambda: 1 / 0)

    with Harness(app) as world:
        [run] = world.send("go", {"id": 7})
        with pytest.raises(
            RunFailed, match="run of 'broken' failed: LookupError: no such"
        ) as caught:
            run.result()
        assert isinstance(caught.value.__cause__, LookupError)
        assert "no such user" in caught.value.traceback
        [run] = world.send("go")
        with pytest.raises(RunFailed, match="at step 'charge': ZeroDivisionError") as caught:
            run.output  # noqa: B018
        assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)
        assert run.step("charge").status == "failed"


def test_what_has_not_ended(app: App) -> None:
    app.function("nap", trigger="nap")(lambda step: step.sleep("nap", "1h"))
    with Harness(app) as world:
        [run] = world.send("nap")
        with pytest.raises(UsageError, match="it is waiting for sleep 'nap', another 1h"):
            run.result()
        with pytest.raises(UsageError, match="not come to a step 'mail'; those it began: 'nap'"):
            run.step("mail")
        assert run.step("nap") == StepRecord("nap", "waiting", 0)
        with pytest.raises(UsageError, match="has passed"):
            world.advance_to(world.now - dt.timedelta(1))


def test_stubs(app: App) -> None:
    async def real(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @app.function("steps", trigger="go", backoff=STEADY)
    async def steps(step: Step) -> list[int]:
        return list(await asyncio.gather(*(step.run("n", real, n) for n in range(3))))

    with Harness(app) as world:
        world.stub(steps, "n", returns=7)
        assert world.start(steps).output == [7, 7, 7]
        world.stub(steps, "n:1", lambda n: -n)
        assert world.start(steps).output == [7, -1, 7]
        world.stub(steps, "n", raises=[OSError("first")])
        run = world.start(steps)
        world.finish(run)
        assert run.output == [0, -1, 2], "after the errors the step runs for real"
        assert run.step("n").attempts == 2
        world.stub(steps, "n", raises=OSError)
        run = world.start(steps)
        world.finish()
        assert (run.status, run.step("n").attempts) == ("failed", 5)
        for bad in ({}, {"fn": int, "returns": 1}):
            with pytest.raises(UsageError, match="a stub"):
                world.stub(steps, "n", **bad)
        with pytest.raises(UsageError, match="no function"):
            world.stub("stesp", "n", returns=1)


def test_a_stubbed_value_is_revived_as_the_real_one(app: App) -> None:
    def birthday() -> dt.date:
        raise AssertionError

    @app.function("cake", trigger="go")
    def cake(step: SyncStep) -> str:
        return f"{step.run('birthday', birthday):%d.%m.}"

    with Harness(app) as world:
        world.stub(cake, "birthday", returns="2020-02-29")
        assert world.start(cake).output == "29.02."


def test_steps_without_a_stub_can_be_refused(app: App) -> None:
    app.function("mail", trigger="go")(lambda step: step.run("send", deliver, "x"))
    with Harness(app, real_steps=False) as world:
        with pytest.raises(UsageError, match=r"step 'send' of 'mail' has no stub.*world\.stub\("):
            world.send("go")
        world.stub("mail", "send", returns="sent")
        assert world.start("mail").output == "sent"


def test_retry_after_a_moment(app: App) -> None:
    midnight = NOON.replace(day=2, hour=0)

    @app.function("limited", trigger="go")
    def limited(run: Any) -> None:
        if run.attempt == 0:
            raise RetryAfterError("tomorrow", midnight)

    with Harness(app, now=NOON) as world:
        [run] = world.send("go")
        assert run.due == midnight
        world.advance("12h")
        assert run.timeline == [Moment(0, "", 0, "retry"), Moment("12h", "", 1, "completed")]


def test_functions_that_start_each_other_without_end(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qflow.testing.memory._RESTLESS", 50)
    app.function("echo", trigger="echo")(lambda: app.send(Event("echo")))
    with Harness(app) as world, pytest.raises(UsageError, match="start each other without end"):
        world.send("echo")


def test_a_function_that_uses_the_harness(app: App) -> None:
    with Harness(app) as world:
        app.function("odd", trigger="go", retries=0)(lambda: world.advance("1h"))
    with Harness(app) as world:
        [run] = world.send("go")
        assert run.status == "failed"
        assert "to send events from a function use app.send" in run.timeline[-1].error


def test_one_harness_at_a_time(app: App) -> None:
    with Harness(app), pytest.raises(UsageError, match="another harness"):
        Harness(app).__enter__()
    with Harness(app):
        assert app.outlet is not None
    assert app.outlet is None
    with pytest.raises(UsageError, match="needs an App"):
        Harness()
