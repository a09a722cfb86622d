"""What a step prints and logs is kept with the attempt that said it, bounded, and with the run."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from cases.world import FAST, World

import qflow
from qflow.encryption import Encryption
from qflow.engine.hearing import LONGEST
from qflow.store.keys import Keys
from qflow.testing.server import RedisServer

LOG = logging.getLogger("shop.cards")


def said(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Level and text of the lines of a trace entry."""
    return [(level, text) for _, level, text in entry.get("log", [])]


def test_each_attempt_has_what_it_printed_and_logged(world: World) -> None:
    tries: list[int] = []

    def charge(run: qflow.Run) -> str:
        tries.append(1)
        print("charging", len(tries))
        print("half a line", end="")
        if len(tries) == 1:
            LOG.warning("card %s was refused", "4711")
            raise ConnectionError("bank is down")
        run.logger.error("only %s", "this", amount=3)
        return "done"

    @world.app.function("pay", trigger="pay", backoff=FAST)
    def pay(step: qflow.SyncStep, run: qflow.Run) -> str:
        print("the handler's own lines are nobody's")
        step.run("quiet", lambda: 1)
        return step.run("charge", charge, run)

    world.serve()
    world.worker()
    ended = world.outcome("pay", "pay")
    assert ended.output == "done"
    (failed,) = ended.told("retry")
    quiet, good = ended.told("step")
    assert "log" not in quiet
    level, given = said(failed).pop(0)
    assert (level, given[:6]) == ("input", '["Run(')
    assert said(failed)[1:] == [
        ("print", "charging 1"),
        ("warning", "shop.cards: card 4711 was refused"),
        ("print", "half a line"),
    ]
    assert ("print", "charging 2") in said(good)
    assert any(level == "error" and "only this" in text for level, text in said(good))


@pytest.mark.parametrize("how", ["gather", "one"])
def test_async_steps_side_by_side_are_told_apart(world: World, how: str) -> None:
    async def talk(name: str) -> str:
        print(f"{name} begins")
        await asyncio.to_thread(print, f"{name} on a thread")
        return name

    @world.app.function("talk", trigger="talk")
    async def both(step: qflow.Step) -> list[str]:
        if how == "one":
            return [await step.run("a", talk, "a"), await step.run("b", talk, "b")]
        return list(await asyncio.gather(step.run("a", talk, "a"), step.run("b", talk, "b")))

    world.serve()
    world.worker()
    ended = world.outcome("talk", "talk")
    lines = {entry["id"]: said(entry) for entry in ended.told("step")}
    assert lines == {
        name: [
            ("input", f'["{name}"]'),
            ("print", f"{name} begins"),
            ("print", f"{name} on a thread"),
        ]
        for name in "ab"
    }


def test_a_lot_keeps_its_beginning_and_its_end(world: World) -> None:
    def chat() -> None:
        for number in range(3000):
            print(f"line {number:04}")
        print("x" * (LONGEST + 5))

    @world.app.function("chat", trigger="chat")
    def handler(step: qflow.SyncStep) -> None:
        step.run("chat", chat)

    world.serve()
    world.worker(step_log=32)
    (entry,) = world.outcome("chat", "chat").told("step")
    lines = said(entry)
    assert lines[0] == ("print", "line 0000")
    assert lines[-1][1].endswith("x… (cut)")
    assert lines[-2] == ("print", "line 2999")
    (notice,) = [text for level, text in lines if level == "notice"]
    assert "left out: a step keeps 32 KiB" in notice
    assert 20_000 < len(json.dumps(entry)) < 64_000


def test_nothing_is_kept_where_that_is_switched_off(world: World) -> None:
    @world.app.function("chat", trigger="chat")
    def handler(step: qflow.SyncStep, run: qflow.Run) -> None:
        step.run("chat", lambda: print("psst"))

    world.serve()
    before = sys.stdout
    world.worker(step_log=0)
    assert sys.stdout is before
    (entry,) = world.outcome("chat", "chat").told("step")
    assert "log" not in entry


def test_what_is_said_is_encrypted_like_all_else(
    redis_server: RedisServer, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QFLOW_ENCRYPTION_KEYS", "A" * 43 + "=")
    with World(redis_server.url, keys, tmp_path) as world:
        app = qflow.App("sealed", redis_url=world.url, namespace=keys.ns, middleware=[Encryption()])

        @app.function("chat", trigger="chat")
        def handler(step: qflow.SyncStep) -> None:
            step.run("chat", lambda: print("4711 is the secret"))

        world.serve()
        world.worker(app)
        event = app.send(qflow.Event("chat", {}))
        (entry,) = world.ended(event, "chat").told("step")
        assert "secret" not in json.dumps(entry)
        assert "log" in entry


def test_standard_output_is_itself_again_when_the_last_worker_ends(world: World) -> None:
    @world.app.function("chat", trigger="chat")
    def handler() -> None:
        return None

    before = sys.stdout
    first, second = world.worker(), world.worker()
    assert sys.stdout is not before
    world.stop([first])
    assert sys.stdout is not before
    world.stop([second])
    assert sys.stdout is before
