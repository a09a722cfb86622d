"""What an operator does in a harness, and how it says no."""

from __future__ import annotations

import datetime as dt
from base64 import b64encode

import pytest

from qflow import App, Backoff, Debounce, Event, Singleton, SyncStep, Throttle, Timeouts
from qflow.encryption import Encryption
from qflow.errors import UsageError
from qflow.testing import Harness, Moment

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
UNKNOWN = "no function 'other'; its apps define"


@pytest.fixture
def app() -> App:
    return App("shop")


def nap(event: Event, step: SyncStep) -> int:
    step.sleep("nap", "1h")
    return step.run("count", int, event.data.get("n", 0))


def test_a_cancelled_run_says_so(app: App) -> None:
    app.function("nap", trigger="go")(nap)
    with Harness(app) as world:
        [run] = world.send("go")
        world.advance("10m")
        assert world.cancel(run)
        assert not world.cancel(run)
        assert (run.status, run.reason, run.due) == ("cancelled", "by hand", None)
        assert repr(run) == "<run of 'nap': cancelled: by hand>"
        assert run.timeline[1:] == [Moment("10m", "", 0, "cancelled")]
        assert run.timeline[1].error == "by hand"
        with pytest.raises(UsageError, match="has no result: it is cancelled: by hand"):
            run.result()
        world.advance("2h")
        assert run.steps.keys() == {"nap"}, "its timer does nothing"
        world.finish()


def test_a_run_that_starts_later_says_so(app: App) -> None:
    app.function("a", trigger="a", debounce=Debounce("10s"))(lambda: None)
    app.function("b", trigger="b", throttle=Throttle(1, per="1m"))(lambda: None)
    with Harness(app, now=NOON) as world:
        [first] = world.send("a")
        assert repr(first) == "<run of 'a': queued, debounced, another 10s>"
        assert first.due == NOON + dt.timedelta(seconds=10)
        _, second = world.send([Event("b"), Event("b")])
        assert repr(second) == "<run of 'b': queued, throttled, another 1m>"
        world.finish(first)
        assert (first.status, second.status) == ("completed", "queued")


def test_deadlines_let_finish_end(app: App) -> None:
    """`finish` waits for a deadline where nothing else comes."""

    @app.function("wait", trigger="go", timeouts=Timeouts(finish="1d"))
    def wait(step: SyncStep) -> None:
        step.wait_for_signal("never", "never")

    with Harness(app, now=NOON) as world:
        [run] = world.send("go")
        world.finish(run)
        assert run.status == "cancelled"
        assert world.now == NOON + dt.timedelta(days=1)


def test_hastening_what_does_not_wait(app: App) -> None:
    app.function("nap", trigger="go")(nap)
    with Harness(app) as world:
        [run] = world.send("go")
        with pytest.raises(UsageError, match="sleeps in step 'nap'"):
            world.retry_now(run)
        with pytest.raises(UsageError, match="sleeps in step 'nap'"):
            world.skip_sleep(run, "other")
        world.skip_sleep(run, "nap")
        assert run.output == 0
        with pytest.raises(UsageError, match="does not wait for a time: it is completed"):
            world.skip_sleep(run)


def test_the_handler_s_own_retry_is_made_now(app: App) -> None:
    @app.function("f", trigger="go", retries=1, backoff=Backoff("1h", jitter=False))
    def f(run) -> int:
        return 1 // int(run.attempt)

    with Harness(app) as world:
        [run] = world.send("go")
        world.retry_now(run)
        assert run.output == 1
        assert run.timeline[-1].at == dt.timedelta(0)


def test_bad_reruns(app: App) -> None:
    app.function("nap", trigger="go")(nap)
    with Harness(app) as world:
        [run] = world.send("go")
        with pytest.raises(UsageError, match="no step 'other'; its steps are 'nap'"):
            world.rerun(run, from_step="other")
        with pytest.raises(UsageError, match="step 'nap' calls no function and has no input"):
            world.rerun(run, from_step="nap", data=7)
        with pytest.raises(UsageError, match="data must be a mapping such as .*, not 7"):
            world.rerun(run, data=7)
        assert world.runs == (run,)
        with Harness(App("other")) as other, pytest.raises(UsageError, match="none of this"):
            other.rerun(run)


def test_sealed_results_are_sealed_anew_for_the_run_that_keeps_them(app: App) -> None:
    keys = [b64encode(bytes(32)).decode()]
    app = App("vault", middleware=[Encryption(keys)])
    app.function("nap", trigger="go")(
        lambda step: (step.run("a", int), step.sleep("nap", "1h"), step.run("b", int))
    )
    with Harness(app) as world:
        [run] = world.send("go")
        again = world.rerun(run, from_step="nap")
        world.finish()
        assert (again.status, again.output) == ("completed", (0, None, 0))


def test_replaying_leaves_out_what_was_run_again(app: App) -> None:
    app.function("nap", trigger="go", singleton=Singleton())(nap)
    with Harness(app) as world:
        first, skipped = world.send([Event("go"), Event("go", {"n": 2})])
        world.cancel(first)
        again = world.replay("nap")
        assert [run.origin for run in again] == [first, skipped]
        assert first.origin is None
        assert world.replay("nap") == ()
        world.finish()
        assert [run.output for run in again] == [0, 2]
        assert world.replay("nap", statuses=["completed"]) != ()


def test_pauses_are_named(app: App) -> None:
    app.function("nap", trigger="go")(nap)
    with Harness(app) as world:
        with pytest.raises(UsageError, match=UNKNOWN):
            world.pause("other")
        with pytest.raises(UsageError, match="function 'nap' is not paused"):
            world.resume("nap")
        [run] = world.send("go")
        world.pause("nap")
        world.advance("1h")
        assert repr(run) == "<run of 'nap': queued, held by the pause of its function>"
        world.resume("nap")
        assert run.output == 0


def test_a_held_run_can_be_cancelled(app: App) -> None:
    app.function("nap", trigger="go")(nap)
    with Harness(app) as world:
        world.pause("nap", hold=True)
        [run] = world.send("go")
        world.cancel(run)
        world.resume("nap")
        assert (run.status, run.steps) == ("cancelled", {})


def test_events_of_ends_are_seen(app: App) -> None:
    keys = [b64encode(bytes(32)).decode()]
    app = App("vault", middleware=[Encryption(keys)])
    told: list[object] = []
    app.function(
        "pay", trigger="go", retries=0, on_failure=lambda event: told.append(event.data["error"])
    )(lambda step: step.run("charge", int, "x"))
    with Harness(app) as world:
        [run] = world.send("go", {"card": "4111"})
        sent, failed = world.events
        assert (sent.name, failed.name) == ("go", "qflow/function.failed")
        assert failed.data["event"]["data"] == {"card": "4111"}, "opened, as everywhere here"
        assert failed.id == f"{run.id}:failed"
        assert "invalid literal" in str(told)
        assert world.runs[1].event == failed
