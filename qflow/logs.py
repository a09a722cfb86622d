"""Logs: one tidy line an event on a terminal, one JSON object an event elsewhere.

`log_sink` is a sink of `qflow.telemetry`; `run_logger` gives handlers their `run.logger`; the
stdlib's loggers, which libraries and users' steps write to, come out in the same form. Until
`configure` was called, telemetry is not logged and handlers' lines go to the stdlib's logging.

What events, steps and runs carry (data, results, arguments) is never logged: a line has ids, times,
names and the first line of an error.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Final, TextIO

from qflow.core.context import Run
from qflow.core.middleware import Middleware, StepContext
from qflow.core.replay import inside_step
from qflow.core.said import hearing
from qflow.rendering import OURS, Console, plain_json, span

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

_RUN: Final = "run {run} {function}"
_STEP: Final = "run {run} {place}"

LINES: Final[Mapping[str, tuple[int, str]]] = {
    "event.received": (DEBUG, "{count} events read"),
    "event.rejected": (WARNING, "event entry {entry} rejected: {reason}"),
    "event.unmatched": (DEBUG, "event {name} starts no function"),
    "trigger.failed": (
        WARNING,
        "{function} was not started by event {event}, its condition failed: {error}",
    ),
    "run.created": (DEBUG, "{count} runs of {function} created"),
    "run.claimed": (DEBUG, _RUN + " claimed"),
    "run.ended": (INFO, _RUN + " {status}{after}"),
    "run.ended failed": (ERROR, _RUN + " failed{after}{why}"),
    "step.ended": (DEBUG, _STEP + " {outcome}{after}"),
    "step.ended retry": (
        WARNING,
        _STEP + " attempt {attempt} failed{after}, will be retried{why}",
    ),
    "step.ended failed": (WARNING, _STEP + " failed for good{after}{why}"),
    "commit.fenced": (
        WARNING,
        _STEP + " attempt {attempt} refused: its lease was taken by another worker",
    ),
    "worker.started": (INFO, "{worker} started: {functions} functions, {slots} slots"),
    "worker.stopped": (INFO, "{worker} stopped"),
    "worker.lapsed": (WARNING, "{worker} lost its lease; it registers again"),
    "worker.died": (WARNING, "{worker} died: {returned} jobs returned to the queue"),
    "job.requeued": (WARNING, _RUN + ": its job had left the queue and was put back"),
    "loop.blocked": (WARNING, "event loop blocked for {blocked} at {where}: block in a sync step"),
    "leader.gained": (INFO, "{name} leads (token {token})"),
    "leader.lost": (INFO, "{name} no longer leads"),
    "timers.moved": (DEBUG, "{count} delayed jobs became due"),
    "cron.fired": (INFO, "cron of {function} fired for {tick}"),
    "redis.waiting": (WARNING, "waiting for Redis: {error}"),
    "redis.back": (INFO, "Redis is back"),
    "loop.failed": (ERROR, "{loop} failed and goes on: {error}"),
    "functions.published": (INFO, "{count} functions published"),
    "module.skipped": (
        WARNING,
        (
            "{module} left out: it needs the package {missing}; install it (the examples: pip "
            "install '.[examples]')"
        ),
    ),
    "step.vanished": (WARNING, _RUN + " failed {step}: its handler no longer asks for that step"),
    "function.unknown": (WARNING, _RUN + " waits: no worker here has that function"),
}
"""Level and console text of every event that is logged; `loop.ticked` is not."""

_KNOWN: Final = OURS | {"run", "function", "step", "attempt", "exception", "stack"}
_VARIED: Final = {"run.ended": "status", "step.ended": "outcome"}
_TEXT_LIMIT: Final = 500
_CHATTY: Final = ("httpcore", "httpx", "rq", "watchfiles")
"""Libraries whose own info lines (a line a request, with its URL) are left out."""


class _Output:
    """Where lines go once `configure` was called."""

    logger: Any = None
    level: int = logging.CRITICAL
    processors: Any = None
    plain: Callable[[str, str, str, Mapping[str, Any]], None] | None = None

    def write(self, level: int, event: str, message: str, fields: Mapping[str, Any]) -> None:
        if level < self.level or self.logger is None:
            return
        with suppress(OSError, ValueError):  # a terminal or pipe that is gone stops no work
            self.logger.log(level, event, message=message, **fields)

    def tell(self, level: int, event: str, message: str, fields: Mapping[str, Any]) -> None:
        """Write a line of qflow's own, which needs none of structlog's processors."""
        if self.plain is None:
            self.write(level, event, message, fields)
            return
        with suppress(OSError, ValueError):
            self.plain(logging.getLevelName(level).lower(), event, message, fields)


_output = _Output()


def detailed() -> bool:
    """Tell whether steps that went well are logged."""
    return _output.level <= DEBUG


def configure(
    format: str = "auto",  # noqa: A002
    level: str = "info",
    process: str = "qflow",
    stream: TextIO | None = None,
) -> None:
    """Start logging this process to `stream` (standard error).

    `format` is "console", "json", or "auto": console on a terminal, else JSON. `process` names the
    process in every line. Calling it again replaces what it set.
    """
    import structlog  # 170 ms, that commands which log nothing should not pay

    target = stream or sys.stderr
    on_terminal = target.isatty()
    renderer: Any = (
        Console(process, on_terminal)
        if format == "console" or (format == "auto" and on_terminal)
        else structlog.processors.JSONRenderer()
    )
    processors = [
        structlog.contextvars.merge_contextvars,  # what LogContext binds, and users themselves
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        _overheard,
        _named(process),
        renderer,
    ]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    wrapper = structlog.make_filtering_bound_logger(threshold)
    _output.logger = structlog.wrap_logger(
        structlog.WriteLogger(target), processors=processors, wrapper_class=wrapper
    )
    _output.level = threshold
    as_json = not isinstance(renderer, Console)
    _output.plain = plain_json(target, process) if as_json else None
    if not structlog.is_configured() or structlog.get_config()["processors"] is _output.processors:
        # never over a choice of the user's own
        factory = structlog.WriteLoggerFactory(target)
        structlog.configure(processors, wrapper, logger_factory=factory)
    _output.processors = processors
    _adopt_stdlib(threshold)


def log_sink(name: str, fields: Mapping[str, Any]) -> None:
    """Log a telemetry event; attach it with `telemetry.attach`."""
    varied = _VARIED.get(name)
    found = LINES.get(f"{name} {fields.get(varied)}") if varied else None
    found = found or LINES.get(name)
    if found is None or found[0] < _output.level:
        return
    shown = {key: _shown(value) for key, value in fields.items() if value not in (None, "")}
    _output.tell(found[0], name, found[1].format_map(_Filled(shown)), shown)


class RunLogger:
    """The logger of one entry of a handler: `run.logger`.

    Takes what the stdlib's loggers take (a message with %-arguments, `exc_info`, `extra`), and any
    further keyword becomes a field of the line, as do the run, the function, the attempt and,
    inside a step, the step. Silent while the handler passes through steps that finished in an
    earlier entry, so that a line is logged once.
    """

    __slots__ = ("_fields", "_silent")

    def __init__(self, fields: Mapping[str, Any], silent: Callable[[], bool]) -> None:
        self._fields = fields
        self._silent = silent

    def debug(self, message: object, *args: object, **fields: Any) -> None:
        """Log at debug level."""
        self.log(DEBUG, message, *args, **fields)

    def info(self, message: object, *args: object, **fields: Any) -> None:
        """Log at info level."""
        self.log(INFO, message, *args, **fields)

    def warning(self, message: object, *args: object, **fields: Any) -> None:
        """Log at warning level."""
        self.log(WARNING, message, *args, **fields)

    def error(self, message: object, *args: object, **fields: Any) -> None:
        """Log at error level."""
        self.log(ERROR, message, *args, **fields)

    def critical(self, message: object, *args: object, **fields: Any) -> None:
        """Log at critical level."""
        self.log(logging.CRITICAL, message, *args, **fields)

    def exception(self, message: object, *args: object, **fields: Any) -> None:
        """Log at error level, with the traceback of the exception being handled."""
        self.log(ERROR, message, *args, **{"exc_info": True, **fields})

    def log(self, level: int, message: object, *args: object, **fields: Any) -> None:
        """Log at `level`, a number of the stdlib's logging."""
        if self._silent():
            return
        step = inside_step.get()
        own = {**self._fields, "step": step} if step else dict(self._fields)
        text = _filled_in(str(message), args)
        if _output.logger is None:
            _to_stdlib(level, text, own, fields)
            return
        given = {**(fields.pop("extra", None) or {}), **fields}
        exc_info = given.pop("exc_info", None)
        if exc_info:
            own["exc_info"] = exc_info
        own.update(
            (f"{key}_" if key in own or key in OURS else key, value) for key, value in given.items()
        )
        _output.write(level, "run.log", text, own)

    def bind(self, **fields: Any) -> RunLogger:
        """Return a logger that adds `fields` to every line."""
        return RunLogger({**fields, **self._fields}, self._silent)


class LogContext(Middleware):
    """Puts run, function and step on every line that handlers and steps log, whatever logger they use.

    On `run.logger`'s lines they are anyway; with this they also are on those of the stdlib's loggers
    and of structlog (where its processors have `merge_contextvars`, as qflow's own do).
    """

    def run(self, run: Run) -> AbstractContextManager[object]:
        """Bind the run and its function."""
        from structlog.contextvars import bound_contextvars

        return bound_contextvars(run=run.id, function=run.function_id)

    def step(self, step: StepContext) -> AbstractContextManager[object]:
        """Bind the step; threads that execute it have a copy of this context."""
        from structlog.contextvars import bound_contextvars

        return bound_contextvars(step=step.id)


def run_logger(
    run_id: str, function_id: str, attempt: int, silent: Callable[[], bool]
) -> RunLogger:
    """Return the logger for one entry of a handler, silent while `silent()`."""
    return RunLogger({"run": run_id, "function": function_id, "attempt": attempt}, silent)


class _Filled(dict[str, Any]):
    """Fields for a line's text; one that an emitter left out shows as "?" and breaks nothing."""

    def __missing__(self, key: str) -> str:
        if key == "after":
            return f" in {span(self['seconds'])}" if "seconds" in self else ""
        if key == "place":
            return "/".join(str(self[part]) for part in ("function", "step") if part in self)
        if key == "why":
            return f": {self['error']}" if self.get("error") else ""
        return span(self["seconds"]) if key == "blocked" and "seconds" in self else "?"


class _Bridge(logging.Handler):
    """Carries the lines of the stdlib's loggers into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                fields["exc_info"] = record.exc_info
            _output.write(record.levelno, "log", f"{record.name}: {record.getMessage()}", fields)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not break its caller
            self.handleError(record)


def _adopt_stdlib(threshold: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(threshold)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, WARNING))


def _named(
    process: str,
) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    def add(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["process"] = process
        return line

    return add


def _overheard(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Tell a line to whoever listens to the step at hand; the stdlib's records it hears by itself."""
    listener = hearing.get()
    if listener is not None and line.get("event") != "log":
        text = str(line.get("message") or line.get("event"))
        more = "".join(f" {k}={v}" for k, v in line.items() if k not in _KNOWN)
        trace = f"\n{line['exception']}" if "exception" in line else ""
        listener.hear(line["level"], f"{text}{more}{trace}")
    return line


def _to_stdlib(level: int, text: str, own: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    logger = logging.getLogger("qflow.run")
    passed = {key: fields[key] for key in ("exc_info", "stack_info") if key in fields}
    extras = "".join(
        f" {key}={value}" for key, value in fields.items() if key not in (*passed, "extra")
    )
    logger.log(level, "run %s %s: %s%s", own["run"], own["function"], text, extras, **passed)


def _filled_in(message: str, args: tuple[object, ...]) -> str:
    if not args:
        return message
    try:
        return message % (args[0] if len(args) == 1 and isinstance(args[0], Mapping) else args)
    except (TypeError, ValueError, KeyError):
        return f"{message} {args!r}"  # a slip in a log line must not fail the run


def _shown(value: Any) -> Any:
    """Return a field as it may be logged: a number as it is, anything else as one short line."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}"
    text = _error_line(value) if isinstance(value, (str, Mapping)) else str(value)
    return text.partition("\n")[0][:_TEXT_LIMIT]


def _error_line(value: str | Mapping[str, Any]) -> str:
    """Return "Name: message" for an error as the run hash keeps it, other text unchanged."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    if not isinstance(value, Mapping):
        return str(value)
    return f"{value.get('name', 'error')}: {value.get('message', '')}"
