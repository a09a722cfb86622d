"""on_failure: a durable function of its own, once for each failed run."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cases.world import FAST, World

import qflow
from qflow import Event, NonRetriableError, Run, Step, SyncStep
from qflow.encryption import Encryption
from qflow.errors import DefinitionError


def explode() -> None:
    raise ValueError("boom")


def test_it_runs_once_with_the_facts(world: World) -> None:
    seen: list[dict[str, Any]] = []

    def clean_up(event: Event, step: SyncStep, run: Run) -> str:
        step.run("note", seen.append, event.data)
        return run.function_id

    @world.app.function("pay", trigger="go", retries=2, backoff=FAST, on_failure=clean_up)
    def pay(step: SyncStep) -> None:
        step.run("charge", explode)

    world.worker()
    failed = world.outcome("pay", "go", {"n": 1})
    handled = world.ended(f"{failed.id}:failed", "pay-failure")
    assert handled.output == "pay-failure"
    (data,) = seen
    assert data["error"]["name"] == "ValueError"
    assert data["error"]["message"] == "boom"
    assert "explode" in data["error"]["traceback"]
    assert (data["step"], data["attempt"]) == ("charge", 2)
    assert (data["run_id"], data["function_id"]) == (failed.id, "pay")
    assert (data["event"]["name"], data["event"]["data"]) == ("go", {"n": 1})


def test_a_failure_outside_steps(world: World) -> None:
    def clean_up(event: Event) -> dict[str, Any]:
        return {"step": event.data["step"], "attempt": event.data["attempt"]}

    @world.app.function("pay", trigger="go", retries=1, backoff=FAST, on_failure=clean_up)
    def pay() -> None:
        explode()

    world.worker()
    failed = world.outcome("pay", "go")
    handled = world.ended(f"{failed.id}:failed", "pay-failure")
    assert handled.output == {"step": "", "attempt": 1}


def test_it_is_retried_by_itself_and_an_async_one_serves_a_sync_function(world: World) -> None:
    tries: list[int] = []

    async def clean_up(run: Run, step: Step) -> int:
        tries.append(run.attempt)
        if len(tries) < 3:
            raise ValueError("not yet")
        return await step.run("note", len, tries)

    @world.app.function("pay", trigger="go", retries=2, backoff=FAST, on_failure=clean_up)
    def pay() -> None:
        raise NonRetriableError("no")

    world.worker()
    failed = world.outcome("pay", "go")
    handled = world.ended(f"{failed.id}:failed", "pay-failure")
    assert handled.output == 3
    assert tries == [0, 1, 2]


def test_only_its_own_function_and_only_failures(world: World) -> None:
    ran: list[str] = []

    @world.app.function(
        "pay", trigger="go", retries=0, on_failure=lambda event: ran.append(event.data["run_id"])
    )
    def pay(event: Event) -> None:
        if event.data.get("bad"):
            explode()

    world.app.function("other", trigger="go", retries=0)(explode)
    world.worker()
    fine = world.send("go")
    assert world.ended(fine, "pay").status == "completed"
    assert world.ended(fine, "other").status == "failed"
    failed = world.outcome("pay", "go", {"bad": True})
    world.ended(f"{failed.id}:failed", "pay-failure")
    assert ran == [failed.id]


def test_system_events_start_functions_and_nothing_goes_in_circles(world: World) -> None:
    @world.app.function("fragile", trigger="go", retries=0)
    def fragile(event: Event) -> int:
        return 1 // int(event.data["n"])

    @world.app.function(
        "watch", trigger=["qflow/function.failed", "qflow/function.finished"], retries=0
    )
    def watch(event: Event) -> str:
        if event.data["status"] == "failed":
            explode()
        return str(event.data["output"])

    world.worker()
    good = world.outcome("fragile", "go", {"n": 1})
    assert world.ended(f"{good.id}:finished", "watch").output == "1"
    bad = world.outcome("fragile", "go", {"n": 0})
    assert world.ended(f"{bad.id}:finished", "watch").status == "failed"
    assert world.ended(f"{bad.id}:failed", "watch").status == "failed"
    names = [flat[1] for _, flat in world.redis.call("XRANGE", world.keys.events, "-", "+")]
    assert sorted(name.decode() for name in names) == [
        "go", "go", "qflow/function.failed", "qflow/function.finished", "qflow/function.finished",
    ]  # fmt: skip


def test_users_cannot_send_them(world: World) -> None:
    with pytest.raises(qflow.EventError, match="reserved"):
        world.send("qflow/function.failed")
    world.redis.call("XADD", world.keys.events, "*", "name", "qflow/function.failed", "data", "{}")
    world.publish()
    world.until(lambda: world.redis.call("XLEN", world.keys.rejected), "its rejection")


def test_a_large_event_of_a_failed_run_arrives_whole(world: World) -> None:
    @world.app.function(
        "pay",
        trigger="go",
        retries=0,
        on_failure=lambda event: len(event.data["event"]["data"]["x"]),
    )
    def pay() -> None:
        explode()

    world.worker()
    failed = world.outcome("pay", "go", {"x": "y" * 500_000})
    assert world.ended(f"{failed.id}:failed", "pay-failure").output == 500_000


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (lambda other: None, "on_failure of function 'f' asks for an argument 'other'"),
        ("text", "on_failure of function 'f' must"),
    ],
)
def test_bad_handlers(world: World, handler: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        world.app.function("f", trigger="go", on_failure=handler)(lambda: None)


def test_a_function_is_no_handler(world: World) -> None:
    made = world.app.function("g", trigger="go")(lambda: None)
    with pytest.raises(DefinitionError, match="takes a plain handler, not the function 'g'"):
        world.app.function("f", trigger="go", on_failure=made)(lambda: None)


def test_unknown_arguments_are_named(world: World) -> None:
    with pytest.raises(DefinitionError, match="function 'f'.*no argument 'on_fail'.*on_failure"):
        world.app.function("f", trigger="go", on_fail=explode)  # type: ignore[call-arg]


def test_with_encryption_the_handler_reads_everything(world: World) -> None:
    keys = [b64encode(bytes(32)).decode()]
    app = qflow.App(
        "vault",
        redis_url=world.url,
        namespace=world.keys.ns,
        middleware=[Encryption(keys)],
    )
    seen: list[Any] = []
    app.function("pay", trigger="go", retries=0, on_failure=lambda event: seen.append(event.data))(
        lambda step: step.run("charge", explode)
    )
    app.function("watch", trigger="qflow/function.finished")(
        lambda event: seen.append(event.data["error"])
    )
    world.worker(app)
    failed = world.ended(app.send(Event("go", {"card": "4111"})), "pay")
    assert world.ended(f"{failed.id}:failed", "pay-failure").status == "completed"
    assert world.ended(f"{failed.id}:finished", "watch").status == "completed"
    data = next(each for each in seen if "run_id" in each)
    assert data["event"]["data"] == {"card": "4111"}
    assert (data["error"]["name"], data["error"]["message"]) == ("ValueError", "boom")
    (entry,) = world.redis.call("XRANGE", world.keys.events, "-", "+", "COUNT", 1)
    stream = b" ".join(part for _, flat in [entry] for part in flat)
    assert b"4111" not in stream
