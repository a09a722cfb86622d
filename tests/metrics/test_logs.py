"""Log lines, on a terminal and as JSON."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qflow import logs, rendering, telemetry
from qflow.core.replay import inside_step

RUN = "01J0000000000000000000000A"
STEP = {"function": "welcome", "run": RUN, "step": "send", "attempt": 1, "seconds": 0.25}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Leave no trace of `configure` behind."""
    import structlog

    root, level = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logs._output.logger, logs._output.level = None, logging.CRITICAL
    structlog.reset_defaults()


@pytest.fixture
def lines() -> Callable[[], list[dict[str, Any]]]:
    stream = io.StringIO()
    logs.configure("json", "debug", "worker", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def console(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure("console", level, "worker", stream)
    return stream


def test_a_console_line_is_tidy() -> None:
    stream = console()
    ended = {"function": "send-welcome-email", "run": RUN, "status": "completed", "error": None}
    logs.log_sink("run.ended", {**ended, "seconds": 1.23})
    clock, rest = stream.getvalue().split(" ", 1)
    assert len(clock.split(":")) == 3
    assert rest == f"worker    run {RUN} send-welcome-email completed in 1.2s\n"


def test_json_has_every_field(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logs.log_sink("step.ended", {**STEP, "outcome": "retry", "error": "KeyError: 'x'\nmore"})
    (line,) = lines()
    assert line.pop("ts").endswith("Z")
    assert line == {
        "event": "step.ended",
        "level": "warning",
        "process": "worker",
        "message": f"run {RUN} welcome/send attempt 1 failed in 250ms,"
        " will be retried: KeyError: 'x'",
        **STEP,
        "outcome": "retry",
        "error": "KeyError: 'x'",
    }


@pytest.mark.parametrize(
    ("name", "fields", "level"),
    [
        ("step.ended", {**STEP, "outcome": "ok"}, "debug"),
        ("step.ended", {**STEP, "outcome": "retry", "error": "e"}, "warning"),
        ("step.ended", {**STEP, "outcome": "failed", "error": "e"}, "warning"),
        ("timers.moved", {"count": 1}, "debug"),
        ("run.ended", {"function": "f", "run": RUN, "status": "completed"}, "info"),
        ("run.ended", {"function": "f", "run": RUN, "status": "failed"}, "error"),
        ("worker.started", {"worker": "w", "functions": 1, "slots": 1}, "info"),
        ("commit.fenced", STEP, "warning"),
        ("worker.died", {"worker": "w", "returned": 2}, "warning"),
        ("loop.blocked", {"worker": "w", "seconds": 2.0, "where": "a.py:1"}, "warning"),
        ("redis.waiting", {"error": "refused"}, "warning"),
        ("loop.failed", {"loop": "router", "error": "e"}, "error"),
    ],
)
def test_levels(
    name: str, fields: dict[str, Any], level: str, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    logs.log_sink(name, fields)
    assert [line["level"] for line in lines()] == [level]


def test_every_event_but_loop_ticked_has_a_line() -> None:
    assert {name.partition(" ")[0] for name in logs.LINES} == telemetry.EVENTS.keys() - {
        "loop.ticked"
    }


@pytest.mark.parametrize("name", sorted(telemetry.EVENTS))
def test_a_field_left_out_breaks_nothing(name: str) -> None:
    stream = console("debug")
    logs.log_sink(name, {})
    assert bool(stream.getvalue()) == (name != "loop.ticked")


def test_what_is_below_the_level_is_left_out() -> None:
    stream = console("warning")
    logs.log_sink("run.ended", {"function": "f", "run": RUN, "status": "completed"})
    assert stream.getvalue() == ""


def test_an_error_of_a_run_is_read_from_its_record() -> None:
    stream = console()
    error = json.dumps({"name": "ValueError", "message": "bad\nsecret=1", "traceback": "…"})
    logs.log_sink("run.ended", {"function": "f", "run": RUN, "status": "failed", "error": error})
    assert stream.getvalue().endswith(f"run {RUN} f failed: ValueError: bad\n")


def test_a_commit_of_the_handler_itself_names_no_step() -> None:
    stream = console()
    logs.log_sink("commit.fenced", {"function": "f", "run": RUN, "step": "", "attempt": 0})
    assert f"run {RUN} f attempt 0 refused" in stream.getvalue()


def test_control_characters_do_not_reach_the_terminal() -> None:
    stream = console()
    logs.log_sink("loop.failed", {"loop": "x", "error": "\x1b[2Jgone"})
    assert "\x1b" not in stream.getvalue()


def test_colour_on_a_terminal_only() -> None:
    stream = Terminal()
    logs.configure("auto", "info", "worker", stream)
    logs.log_sink("redis.waiting", {"error": "refused"})
    assert stream.getvalue().startswith("\x1b[33m")
    assert stream.getvalue().endswith("\x1b[0m\n")


def test_auto_is_json_elsewhere() -> None:
    stream = io.StringIO()
    logs.configure("auto", "info", "worker", stream)
    logs.log_sink("redis.back", {})
    assert json.loads(stream.getvalue())["event"] == "redis.back"


def test_a_stream_that_is_gone_stops_no_work() -> None:
    stream = console()
    stream.close()
    logs.log_sink("redis.back", {})


def test_stdlib_loggers_come_out_alike(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("contacts").info("page %d", 3)
    logging.getLogger("httpx").info("GET with a token")
    (line,) = lines()
    assert (line["message"], line["logger"], line["process"]) == (
        "contacts: page 3",
        "contacts",
        "worker",
    )


def test_run_logger_carries_the_run(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logger = logs.run_logger(RUN, "welcome", 2, lambda: False)
    logger.info("sent %s of %s", 3, 4, to="jane", run="mine")
    token = inside_step.set("send-email")
    logger.warning("inside")
    inside_step.reset(token)
    first, second = lines()
    assert first["message"] == "sent 3 of 4"
    assert (first["run"], first["function"], first["attempt"]) == (RUN, "welcome", 2)
    assert (first["to"], first["run_"], "step" in first) == ("jane", "mine", False)
    assert (second["level"], second["step"]) == ("warning", "send-email")


def test_run_logger_writes_a_traceback(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        raise KeyError("x")
    except KeyError:
        logs.run_logger(RUN, "welcome", 0, lambda: False).exception("no luck")
    (line,) = lines()
    assert line["level"] == "error"
    assert line["exception"].endswith("KeyError: 'x'")


def test_run_logger_is_silent_while_replaying(lines: Callable[[], list[dict[str, Any]]]) -> None:
    replaying = True
    logger = logs.run_logger(RUN, "welcome", 0, lambda: replaying)
    logger.info("again")
    replaying = False
    logger.info("new")
    assert [line["message"] for line in lines()] == ["new"]


def test_run_logger_on_a_console() -> None:
    stream = console()
    logs.run_logger(RUN, "welcome", 0, lambda: False).bind(tenant="acme").info("hello", n=1)
    assert stream.getvalue().endswith(f"worker    run {RUN} welcome hello tenant=acme n=1\n")


def test_run_logger_without_configure_is_the_stdlibs(caplog: pytest.LogCaptureFixture) -> None:
    logger = logs.run_logger(RUN, "welcome", 0, lambda: False)
    with caplog.at_level("INFO"):
        logger.info("hello", n=1)
    assert caplog.messages == [f"run {RUN} welcome: hello n=1"]


def test_a_slip_in_a_message_does_not_fail_the_run(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    logs.run_logger(RUN, "welcome", 0, lambda: False).info("%d items", "many")
    assert lines()[0]["message"] == "%d items ('many',)"


def test_a_users_own_structlog_configuration_stands() -> None:
    import structlog

    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    console()
    assert len(structlog.get_config()["processors"]) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "<1ms"), (0.25, "250ms"), (1.23, "1.2s"), (75, "1m15s"), (7320, "2h02m")],
)
def test_spans(seconds: float, text: str) -> None:
    assert rendering.span(seconds) == text
