"""Runs again: the same event, other data, from a step on with what had finished before it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from base64 import b64encode
from typing import Any

import pytest
from cases.world import FAST, World

import qflow
from qflow import Event, QflowError, SyncStep
from qflow.core.middleware import Hooks
from qflow.core.sealed import sealed_by
from qflow.encryption import Encryption
from qflow.engine.rerunning import Change, Rerunner
from qflow.read.finished import before
from qflow.read.nearest import NotFound
from qflow.store import again, script
from qflow.store.stream import Keep


@dataclasses.dataclass
class Order:
    number: int


def rerun(
    world: World,
    run: str,
    change: Change | None = None,
    step: str = "",
    hooks: Hooks | None = None,
) -> Any:
    kept = before(world.redis, world.keys, run, step).kept if step else ()
    made = Rerunner(world.redis, world.keys, Keep(500, 700), hooks)
    new = made.rerun(run, change or Change(), kept)
    return world.until_status(new, "completed", "failed")


def test_a_failed_run_and_its_event(world: World) -> None:
    tries = itertools.count()

    @world.app.function("f", trigger="go", retries=0)
    def f(event: Event) -> Any:
        if next(tries) == 0:
            raise ValueError("once")
        return event.data["n"]

    world.worker()
    failed = world.outcome("f", "go", {"n": 7})
    assert failed.status == "failed"
    new = rerun(world, failed.id)
    assert new.output == 7
    assert new.fields["origin"] == failed.id
    assert world.look(failed.id).fields["again"] == new.id
    assert rerun(world, failed.id, Change(data={"n": 8})).output == 8


@pytest.fixture
def chain(world: World) -> list[str]:
    """A function of three steps of which the second fails; the list says what was executed."""
    ran: list[str] = []

    def note(name: str, value: int) -> int:
        ran.append(f"{name} {value}")
        if name == "b" and value < 10:
            raise ValueError("too small")
        return value + 1

    def ship(order: Order, to: str) -> str:
        ran.append("c")
        return f"{order.number} {to}"

    @world.app.function("f", trigger="go", retries=0)
    def f(step: SyncStep) -> Any:
        a = step.run("a", note, "a", 1)
        step.sleep("nap", "10ms")
        b = step.run("b", note, "b", a)
        return step.run("c", ship, Order(b), to="x")

    world.worker()
    return ran


def test_from_a_step_on_with_other_input(world: World, chain: list[str]) -> None:
    failed = world.outcome("f", "go")
    assert failed.status == "failed"
    new = rerun(world, failed.id, Change(step="b", input={"value": 20}), "b")
    assert new.output == "21 x"
    assert chain == ["a 1", "b 2", "b 20", "c"], "the steps before were not executed again"
    assert sorted(failed.steps) == ["a", "b", "nap"]
    last = rerun(world, new.id, Change(step="c", input={"order": {"number": 5}}), "c")
    assert last.output == "5 x"
    by_place = rerun(world, new.id, Change(step="c", input=[{"number": 6}, "y"]), "c")
    assert by_place.output == "6 y"


def test_from_a_step_on_as_it_was(world: World, chain: list[str]) -> None:
    failed = world.outcome("f", "go")
    assert rerun(world, failed.id, step="b").status == "failed"
    assert chain == ["a 1", "b 2", "b 2"]
    assert rerun(world, failed.id, step="a").status == "failed"
    assert chain == ["a 1", "b 2", "b 2", "a 1", "b 2"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"price": 1}, "names 'price', which is no argument of its function; they are name, value"),
        ([1, 2, 3], "does not fit its function"),
    ],
)
def test_input_that_does_not_fit(world: World, chain: list[str], given: object, words: str) -> None:
    failed = world.outcome("f", "go")
    new = rerun(world, failed.id, Change(step="b", input=given), "b")
    assert words in new.error["message"]
    assert chain == ["a 1", "b 2"]


def test_a_step_that_is_not_there(world: World, chain: list[str]) -> None:
    failed = world.outcome("f", "go")
    with pytest.raises(NotFound, match=r"no step 'd'; .*its steps are 'a', 'nap', 'b'"):
        before(world.redis, world.keys, failed.id, "d")


def test_a_sleep_is_skipped_and_a_retry_made_now(world: World) -> None:
    tries = itertools.count()

    def fails_once() -> str:
        if next(tries) == 0:
            raise ValueError("once")
        return "done"

    slow = dataclasses.replace(FAST, base="1h", max="1h")

    @world.app.function("f", trigger="go", backoff=slow)
    def f(step: SyncStep) -> str:
        step.sleep("long", "1d")
        return step.run("again", fails_once)

    world.worker()
    event = world.send("go")
    run = world.run_of(event, "f")
    world.until_status(run, "waiting")
    assert script.run(world.redis, again.hasten(world.keys, run, "sleep", "", 500)) == [1, b"long"]
    world.until(lambda: world.look(run).told("retry"), "the first attempt")
    world.until_status(run, "waiting")
    assert script.run(world.redis, again.hasten(world.keys, run, "retry", "", 500)) == [1, b"again"]
    assert world.ended(event, "f").output == "done"


OLD_KEY, NEW_KEY = (b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def vault(world: World, works: list[bool], ran: list[str], *secrets: str) -> qflow.App:
    """An app that encrypts, with a function that fails until it `works`."""
    encrypted = [Encryption(secrets)]
    app = qflow.App("vault", redis_url=world.url, namespace=world.keys.ns, middleware=encrypted)

    def fetch() -> str:
        ran.append("fetch")
        return "secret-fetched"

    def refuse() -> None:
        ran.append("refuse")
        raise qflow.NonRetriableError("secret-refusal")

    def settle() -> None:
        if not works:
            raise ValueError("not yet")

    @app.function("child", trigger="never")
    def child() -> str:
        return "secret-child"

    @app.function("f", trigger="go", retries=0)
    def f(step: SyncStep) -> list[str]:
        found = [step.run("fetch", fetch), step.invoke("child", child)]
        try:
            step.run("refuse", refuse)
        except qflow.StepError as error:
            found.append(error.message)
        step.run("settle", settle)
        return found

    return app


def test_encrypted_results_are_kept_where_their_key_is_at_hand(world: World) -> None:
    """A result, an error that was caught and what an invoked run gave; under the new key, and once more."""
    works: list[bool] = []
    ran: list[str] = []
    before_rotation = vault(world, works, ran, OLD_KEY)
    first = world.worker(before_rotation)
    failed = world.ended(before_rotation.send(Event("go")), "f")
    assert failed.status == "failed"
    world.stop([first])
    world.worker(vault(world, works, ran, NEW_KEY, OLD_KEY))
    hooks = Hooks([Encryption([NEW_KEY, OLD_KEY])])
    again = rerun(world, failed.id, step="settle", hooks=hooks)
    assert again.status == "failed"
    works.append(True)
    done = rerun(world, again.id, step="settle", hooks=hooks)
    assert done.status == "completed"
    text = Encryption([NEW_KEY]).decode(done.fields["output"], qflow.Place("output", done.id))
    assert json.loads(text) == ["secret-fetched", "secret-child", "secret-refusal"]
    assert ran == ["fetch", "refuse"], "what is kept is not executed again"
    for name in ("fetch", "child", "refuse"):
        assert "secret" not in done.steps[name]
    assert sealed_by(done.steps["fetch"]) != sealed_by(failed.steps["fetch"])


def test_encrypted_results_cannot_be_kept_without_their_key(world: World) -> None:
    app = qflow.App(
        "vault", redis_url=world.url, namespace=world.keys.ns, middleware=[Encryption([OLD_KEY])]
    )

    @app.function("f", trigger="go", retries=0)
    def f(step: SyncStep) -> int:
        return step.run("a", int) + step.run("b", int, "x")

    world.worker(app)
    failed = world.ended(app.send(Event("go")), "f")
    for hooks, problem in ((None, "no middleware here"), (Hooks([Encryption([NEW_KEY])]), "key")):
        with pytest.raises(QflowError, match=f"result of step 'a' .*{problem}.* without --from"):
            rerun(world, failed.id, step="b", hooks=hooks)
    assert "again" not in world.look(failed.id).fields, "nothing was created"
    assert rerun(world, failed.id).status == "failed"
