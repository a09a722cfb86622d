"""Above a limit: a clear error that names the limit and the size, and nothing half-written."""

from __future__ import annotations

import pytest
from cases.world import World

from qflow import CodecError, Event, EventError, LimitError, Step, StepError, SyncStep


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_thousand_steps_and_no_more(world: World, kind: str) -> None:
    if kind == "sync":

        @world.app.function("many", trigger="go")
        def many(event, step: SyncStep) -> int:  # type: ignore[no-untyped-def]
            return sum(step.run("n", int, n) for n in range(event.data["n"]))

    else:

        @world.app.function("many", trigger="go")
        async def many(event, step: Step) -> int:  # type: ignore[no-untyped-def]
            return sum([await step.run("n", int, n) for n in range(event.data["n"])])

    world.worker()
    enough, over = world.send("go", {"n": 1000}), world.send("go", {"n": 1001})
    assert world.ended(enough, "many").output == 499_500
    run = world.ended(over, "many")
    assert run.error["name"] == "LimitError"
    assert "step 1001" in run.error["message"] and "1000 steps" in run.error["message"]
    assert len(run.steps) == 1000


def test_a_result_over_4_mib(world: World) -> None:
    ran = []

    def large(size: int) -> str:
        ran.append(size)
        return "x" * size

    @world.app.function("large", trigger="go", retries=5)
    def handler(step: SyncStep) -> list[str]:
        length = len(step.run("fits", large, 4 * 1024 * 1024 - 100))
        try:
            step.run("does not", large, 4 * 1024 * 1024)
        except StepError as error:
            return [str(length), error.name, error.message]
        return []

    world.worker()
    run = world.outcome("large", "go")
    assert run.output[:2] == ["4194204", "LimitError"]
    assert "'does not'" in run.output[2] and "4.0 MiB" in run.output[2] and "4 MiB" in run.output[2]
    assert ran == [4 * 1024 * 1024 - 100, 4 * 1024 * 1024], "another attempt would change nothing"


def test_an_event_over_512_kib_is_refused_where_it_is_sent(world: World) -> None:
    with pytest.raises(LimitError, match="event 'go' is 524296 bytes, over the limit of 524288"):
        world.app.send([Event("go", {"a": 1}), Event("go", {"a": "x" * 512 * 1024})])
    assert world.redis.call("EXISTS", world.keys.events) == 0 or not world.redis.call(
        "XLEN", world.keys.events
    )


def test_a_result_that_cannot_be_stored_names_step_and_type(world: World) -> None:
    class Handle:
        pass

    @world.app.function("odd", trigger="go", retries=5)
    def odd(step: SyncStep) -> None:
        step.run("open", lambda: {"handles": [Handle()]})

    world.worker()
    error = world.outcome("odd", "go").error
    assert error["name"] == "CodecError"
    assert "'open'" in error["message"] and "Handle" in error["message"]
    assert ".handles[0]" in error["message"]


def test_a_handler_that_returns_what_cannot_be_stored(world: World) -> None:
    @world.app.function("odd", trigger="go", retries=0)
    def odd() -> object:
        return object()

    world.worker()
    error = world.outcome("odd", "go").error
    assert error["name"] == "CodecError"
    assert "the value that the handler returned" in error["message"]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (lambda: Event("qflow/x"), EventError),
        (lambda: Event("go", [1]), EventError),
        (lambda: Event("go", {"x": object()}), CodecError),
        (lambda: "go", EventError),
    ],
)
def test_events_that_cannot_be_sent(world: World, event: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        world.app.send([Event("go"), event()])  # type: ignore[operator]
    assert not world.redis.call("EXISTS", world.keys.events) or not world.redis.call(
        "XLEN", world.keys.events
    )
