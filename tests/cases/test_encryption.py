"""Encrypted payloads: nothing of them is readable in Redis, and handlers see them as they were."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any

import pytest
from cases.test_rich_values import VALUES
from cases.world import FAST, World
from click.testing import CliRunner

import qflow
from qflow import Event, NonRetriableError, Step, StepError, SyncStep
from qflow.cli.commands import cli
from qflow.core.sealed import sealed_by
from qflow.encryption import Encryption
from qflow.store.redis import Redis

SECRET = "4111-secret-1111"
OLD, NEW = (b64encode(bytes([n]) * 32).decode() for n in (1, 2))
QUICK: dict[str, Any] = {"retries": 1, "backoff": FAST}

both = pytest.mark.parametrize("kind", ["sync", "async"])


def app_of(world: World, *keys: str, field: str = "") -> qflow.App:
    middleware = [Encryption(keys, field=field)] if keys else []
    return qflow.App("vault", redis_url=world.url, namespace=world.keys.ns, middleware=middleware)


def everything(redis: Redis) -> str:
    """Return all that stands in this Redis, and what of it is packed unpacked too."""
    parts: list[bytes] = []
    readers = {
        "string": ("GET",), "hash": ("HGETALL",), "stream": ("XRANGE", "-", "+"), "set": ("SMEMBERS",),
        "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1),
    }  # fmt: skip

    def collect(found: Any) -> None:
        if isinstance(found, bytes):
            parts.append(found)
            with suppress(ValueError, zlib.error):
                parts.append(zlib.decompress(b64decode(found)))
            with suppress(zlib.error):
                parts.append(zlib.decompress(found))
        elif isinstance(found, list):
            for item in found:
                collect(item)

    for key in redis.call("KEYS", "*"):
        reader = readers.get(redis.call("TYPE", key).decode())
        if reader is not None:  # none: it expired meanwhile
            collect([key, redis.call(reader[0], key, *reader[1:])])
    return b"\n".join(parts).decode("latin-1")


def define(app: qflow.App, kind: str) -> None:
    """Define a function whose event, results, retries, errors and outcome all hold the secret."""
    tries: list[int] = []

    def flaky(card: str) -> dict[str, str]:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError(f"declined {card}")
        return {"card": card}

    def hopeless(card: str) -> None:
        raise NonRetriableError(f"no such card {card}")

    def conclude(found: dict[str, str], problem: StepError) -> str:
        assert problem.message == f"no such card {SECRET}"
        assert SECRET in problem.traceback
        if len(tries) == 2:
            tries.append(1)
            raise RuntimeError(f"handler {found['card']}")
        return found["card"]

    if kind == "sync":

        @app.function("pay", trigger="paid", **QUICK)
        def pay(event: Event, step: SyncStep) -> str:
            found = step.run("charge", flaky, event.data["card"])
            step.sleep("nap", "10ms")  # what follows knows the steps from Redis only
            try:
                step.run("refund", hopeless, event.data["card"])
            except StepError as error:
                step.sleep("another", "10ms")
                return conclude(found, error)
            raise AssertionError
    else:

        @app.function("pay", trigger="paid", **QUICK)
        async def apay(event: Event, step: Step) -> str:
            found = await step.run("charge", flaky, event.data["card"])
            await step.sleep("nap", "10ms")
            try:
                await step.run("refund", hopeless, event.data["card"])
            except StepError as error:
                await step.sleep("another", "10ms")
                return conclude(found, error)
            raise AssertionError


def define_failing(app: qflow.App) -> None:
    @app.function("fail", trigger="paid", retries=0)
    def fail(event: Event, step: SyncStep) -> None:
        step.run("charge", lambda: (_ for _ in ()).throw(ValueError(event.data["card"])))


@both
def test_no_plaintext_is_anywhere_in_redis(world: World, kind: str) -> None:
    app = app_of(world, OLD)
    define(app, kind)
    define_failing(app)
    world.worker(app)
    sent = app.send(Event("paid", {"card": SECRET}))
    ended, failed = world.ended(sent, "pay"), world.ended(sent, "fail")
    assert (ended.status, failed.status) == ("completed", "failed")
    assert {name for name, text in ended.steps.items() if sealed_by(text)} == {"charge", "refund"}
    dump = everything(world.redis)
    assert "aes-gcm:" in dump
    assert "ValueError: encrypted" in dump  # RQ's own record of why the job failed
    assert not re.search(SECRET, dump)
    told = [fields for name, fields in world.events if "error" in fields]
    assert told
    assert SECRET not in str(told)


@both
def test_without_encryption_it_is_in_all_those_places(world: World, kind: str) -> None:
    """The test above can fail."""
    app = app_of(world)
    define(app, kind)
    define_failing(app)
    world.worker(app)
    sent = app.send(Event("paid", {"card": SECRET}))
    ended, failed = world.ended(sent, "pay"), world.ended(sent, "fail")
    for text in (
        ended.fields["event"], ended.fields["output"], failed.fields["error"], ended.steps["charge"],
        ended.steps["refund"], str(ended.told("retry")),
    ):  # fmt: skip
        assert SECRET in text
    assert f"ValueError: {SECRET}" in everything(world.redis)


def test_rich_values_come_back(world: World) -> None:
    app = app_of(world, OLD)

    @app.function("rich", trigger="go")
    def rich(step: SyncStep) -> dict[str, Any]:
        first = {name: step.run(name, lambda value=value: value) for name, value in VALUES.items()}
        step.sleep("nap", "1ms")
        assert first == VALUES
        return first

    world.worker(app)
    ended = world.ended(app.send(Event("go")), "rich")
    assert ended.status == "completed", ended.fields
    assert all(sealed_by(text) for name, text in ended.steps.items() if name != "nap")


def test_a_field_alone_is_encrypted_and_delivered_decrypted(world: World) -> None:
    app = app_of(world, OLD, field="encrypted")

    @app.function("f", trigger="go")
    def f(event: Event) -> Any:
        return event.data

    world.worker(app)
    sent = app.send(Event("go", {"plan": "pro", "encrypted": {"card": SECRET}}))
    ended = world.ended(sent, "f")
    kept = json.loads(ended.fields["event"])["data"]
    assert kept["plan"] == "pro"
    assert SECRET not in ended.fields["event"]
    text = Encryption([OLD]).decode(ended.fields["output"], qflow.Place("output", ended.id))
    assert json.loads(text) == {"plan": "pro", "encrypted": {"card": SECRET}}


def test_plain_events_are_taken_too(world: World) -> None:
    app = app_of(world, OLD)

    @app.function("f", trigger="go")
    def f(event: Event) -> None:
        assert event.data == {"a": 1}

    world.worker(app)
    assert world.ended(world.send("go", {"a": 1}), "f").status == "completed"


@pytest.mark.parametrize("known", [(), (NEW,)], ids=["no middleware", "another key"])
def test_a_worker_without_the_key_says_so(world: World, known: tuple[str, ...]) -> None:
    app = app_of(world, *known)
    entered: list[int] = []

    @app.function("f", trigger="go", **QUICK)
    def f(event: Event) -> None:
        entered.append(1)

    world.worker(app)
    ended = world.ended(app_of(world, OLD).send(Event("go", {"card": SECRET})), "f")
    assert (ended.status, ended.error["name"], entered) == ("failed", "SealedError", [])
    assert len(ended.told("retry")) == 1
    message = ended.error["message"]
    assert message.startswith(f"run {ended.id}: the data of event 'go'")
    key = repr(Encryption([OLD]))[-9:-1]
    assert key in message
    assert ("QFLOW_ENCRYPTION_KEYS" if known else "register") in message


def test_a_worker_with_the_key_goes_on_where_one_without_had_to_stop(world: World) -> None:
    """What a handler catches is never a missing key: it is not entered at all."""
    caught: list[Exception] = []
    without, having = app_of(world, NEW), app_of(world, NEW, OLD)
    for app in (without, having):

        @app.function("f", trigger="go", **QUICK)
        def f(step: SyncStep) -> str:
            try:
                return step.run("fetch", lambda: SECRET)
            except Exception as error:
                caught.append(error)
                return "fallback"

    world.publish(having)
    sent = app_of(world, OLD).send(Event("go"))
    run = world.run_of(sent, "f")
    with_old = Encryption([OLD]).encode(f'"{SECRET}"', qflow.Place("step", run, "fetch"))
    world.redis.call("HSET", world.keys.steps(run), "fetch", f'{{"ok":{with_old}}}')
    first = world.worker(without)
    world.until_status(run, "waiting", "failed")
    world.stop([first])
    world.worker(having)
    ended = world.until_status(run, "completed", "failed")
    assert (ended.status, caught) == ("completed", [])
    text = Encryption([NEW]).decode(ended.fields["output"], qflow.Place("output", run))
    assert text == f'"{SECRET}"'
    assert ended.told("retry")[0]["error"]["name"] == "SealedError"


def test_a_value_moved_between_runs_is_refused_at_once(world: World) -> None:
    app = app_of(world, OLD)

    @app.function("f", trigger="go", **QUICK)
    def f(event: Event, step: SyncStep) -> Any:
        return step.run("fetch", lambda: event.data["n"])

    world.publish(app)
    sent = app.send([Event("go", {"n": 1}), Event("go", {"n": 2})])
    mine, other = (world.run_of(event, "f") for event in sent)
    text = Encryption([OLD]).encode("1", qflow.Place("step", mine, "fetch"))
    world.redis.call("HSET", world.keys.steps(other), "fetch", f'{{"ok":{text}}}')
    world.worker(app)
    assert world.ended(sent[0], "f").status == "completed"
    refused = world.ended(sent[1], "f")
    assert refused.error["name"] == "AlteredError"
    assert f"run {other}: the result of step 'fetch'" in refused.error["message"]
    assert refused.told("retry") == []


def test_rotation(world: World) -> None:
    """A run that began under the old key goes on under the new one."""
    old, rotated = app_of(world, OLD), app_of(world, NEW, OLD)
    for app in (old, rotated):

        @app.function("f", trigger="go")
        def f(event: Event, step: SyncStep) -> Any:
            found = step.run("fetch", lambda: [event.data["card"]])
            step.sleep("nap", "300ms")
            return step.run("again", lambda: found)

    first = world.worker(old)
    run = world.run_of(old.send(Event("go", {"card": SECRET})), "f")
    world.until_status(run, "waiting")
    world.stop([first])
    world.worker(rotated)
    ended = world.until_status(run, "completed", "failed")
    assert ended.status == "completed"
    ids = [sealed_by(ended.steps[step]) for step in ("fetch", "again")]
    assert ids[0] != ids[1]
    assert SECRET not in everything(world.redis)


def said(monkeypatch: pytest.MonkeyPatch, world: World, keys: str, *command: str) -> str:
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("QFLOW_REDIS_URL", world.url)
    monkeypatch.setenv("QFLOW_NAMESPACE", world.keys.ns)
    monkeypatch.setenv("QFLOW_ENCRYPTION_KEYS", keys)
    monkeypatch.setenv("COLUMNS", "1000")
    result = CliRunner().invoke(cli, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.stdout + result.stderr


def test_the_command_line_shows_values_to_whoever_has_the_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(world, OLD)
    define(app, "sync")
    define_failing(app)
    world.worker(app)
    sent = app.send(Event("paid", {"card": SECRET}))
    paid, failed = world.ended(sent, "pay"), world.ended(sent, "fail")
    commands = [
        ("runs", "show", paid.id), ("runs", "show", failed.id, "--json"), ("runs", "list"),
        ("runs", "show", failed.id), ("runs", "list", "--json"), ("events", "list"),
        ("events", "list", "--json"), ("runs", "tail", paid.id), ("runs", "tail", paid.id, "--json"),
    ]  # fmt: skip
    for command in commands:
        for keys in ("", NEW):
            shown = said(monkeypatch, world, keys, *command)
            assert SECRET not in shown, command
            assert "$qflow" not in shown, command
            assert "encrypted" in shown, command
            if "list" not in command or "--json" in command:  # a table cuts what is too wide
                assert "encrypted (aes-gcm" in shown, command
                assert ("not here" in shown) == (keys == NEW)
        assert SECRET in said(monkeypatch, world, f"{NEW},{OLD}", *command), command
    with_key = said(monkeypatch, world, OLD, "runs", "show", paid.id)
    for part in (f"declined {SECRET}", f"no such card {SECRET}", f"handler {SECRET}"):
        assert part in with_key
    assert '"sealed"' not in said(monkeypatch, world, OLD, "runs", "show", failed.id, "--json")


def test_a_bad_key_of_the_command_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = said(monkeypatch, world, "x", "runs", "list")
    assert "QFLOW_ENCRYPTION_KEYS: key 1 is not 32 bytes" in shown


def test_an_encrypted_event_that_grows_too_large_is_refused(world: World) -> None:
    app = app_of(world, OLD)
    with pytest.raises(qflow.LimitError, match="encoded data of event 'go'"):
        app.send(Event("go", {"x": "x" * 450_000}))
    assert world.redis.call("XLEN", world.keys.events) == 0


def test_only_a_function(world: World) -> None:
    app = app_of(world)

    @app.function("f", trigger="go", middleware=[Encryption([OLD])])
    def f(event: Event, step: SyncStep) -> Any:
        return step.run("fetch", lambda: event.data["card"])

    world.worker(app)
    ended = world.ended(app.send(Event("go", {"card": SECRET})), "f")
    assert SECRET in ended.fields["event"]
    assert SECRET not in ended.fields["output"] + ended.steps["fetch"]
