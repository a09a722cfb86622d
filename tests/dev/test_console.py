"""The one log: whose line it is, on a terminal, in a file and as JSON."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from typing import Any

from qflow.dev.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(use: Any, stream: io.StringIO | None = None, **options: Any) -> list[str]:
    stream = stream or io.StringIO()
    use(Console(stream=stream, **options))
    return [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_and_process() -> None:
    assert written(lambda c: c.say("dev", "ready")) == ["TIME dev       ready"]


def test_a_log_line_of_the_worker_keeps_its_head_and_what_it_prints_gets_one() -> None:
    def use(console: Console) -> None:
        console.relay("worker", "12:00:01 worker    run 01J hello completed in 3ms")
        console.relay("worker", "hello from a print")

    assert written(use) == [
        "TIME worker    run 01J hello completed in 3ms",
        "TIME worker    hello from a print",
    ]


def test_colours_on_a_terminal_only() -> None:
    lines = written(lambda c: c.say("redis", "gone", logging.WARNING), Terminal())
    assert lines == ["TIME \x1b[35mredis     \x1b[0m\x1b[33mgone\x1b[0m"]


def test_json_lines() -> None:
    def use(console: Console) -> None:
        console.say("dev", "ready")
        console.relay("worker", '{"event": "run.ended"}')
        console.relay("worker", "printed")
        console.show(["a banner"])

    first, second, third = (json.loads(line) for line in written(use, as_json=True))
    assert (first["process"], first["message"], first["level"]) == ("dev", "ready", "info")
    assert second == {"event": "run.ended"}
    assert (third["process"], third["message"]) == ("worker", "printed")


def test_events_of_a_service_carry_its_name() -> None:
    stream = io.StringIO()
    console = Console(stream=stream)

    def emit() -> None:
        console.sink("event.unmatched", {"name": "a/b", "id": "1"})
        console.sink("event.unmatched", {"name": "c/d", "id": "2", "unmet": 1})
        console.sink("loop.ticked", {"loop": "router"})
        console.sink("loop.failed", {"loop": "router"})

    for kind in ("router", "pruner"):
        thread = threading.Thread(target=emit, name=kind)
        thread.start()
        thread.join()
    heads = [line.split()[1] for line in stream.getvalue().splitlines()]
    assert heads == ["router"] * 3 + ["scheduler"] * 3
    assert "event a/b starts nothing: no function has that trigger" in stream.getvalue()
    assert "event c/d starts nothing: no condition holds" in stream.getvalue()
    assert "router failed and goes on: ?" in stream.getvalue()


def test_a_level_leaves_out_what_is_below() -> None:
    assert written(lambda c: c.say("dev", "ready"), level="warning") == []


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    stream = io.StringIO()
    console = Console(stream=stream)
    stream.close()
    console.say("dev", "ready")


def test_letters_that_a_terminal_lacks_are_replaced() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream=stream).say("dev", "größer")
    assert raw.getvalue().endswith(b"gr??er\n")
