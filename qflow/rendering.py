"""The two forms of a log line: one for people on a terminal, one JSON object elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

OURS: Final = frozenset(("event", "level", "message", "process", "ts", "exc_info"))
"""Fields of every line, which a handler's own fields do not replace."""


class Console:
    """Renders a line for people: time, process, text, and a handler's own fields."""

    _COLOURS: Final = {
        "debug": "\x1b[2m",
        "warning": "\x1b[33m",
        "error": "\x1b[31m",
        "critical": "\x1b[31;1m",
    }

    def __init__(self, process: str, coloured: bool) -> None:
        self._process = process
        self._coloured = coloured

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> str:
        """Return the line's text; a processor of structlog's, the last one."""
        level, message = line.pop("level"), line.pop("message", None)
        text = _printable(str(line["event"] if message is None else message))
        if line["event"] in ("run.log", "log") and {"run", "function"} <= line.keys():
            step = line.pop("step", "")
            place = f"{line.pop('function')}/{step}" if step else line.pop("function")
            text = f"run {line.pop('run')} {place} {text}"
            line.pop("attempt", None)
        elif message is not None:
            line = {key: line[key] for key in ("event", "exception") if key in line}
        exception = line.pop("exception", "")
        extras = (
            f" {key}={_printable(str(value))}" for key, value in line.items() if key not in OURS
        )
        colour = self._COLOURS.get(level, "") if self._coloured else ""
        head = f"{time.strftime('%H:%M:%S')} {self._process:<9} {text}{''.join(extras)}"
        tail = f"\n{_printable(exception)}" if exception else ""
        return f"{colour}{head}\x1b[0m{tail}" if colour else f"{head}{tail}"


def plain_json(target: TextIO, process: str) -> Callable[[str, str, str, Mapping[str, Any]], None]:
    """Return what writes the lines that structlog's processors would: a worker that ends thousands
    of runs a second would spend a tenth of its time in them."""

    def write(level: str, event: str, message: str, fields: Mapping[str, Any]) -> None:
        line = {
            **fields,
            "message": message,
            "event": event,
            "level": level,
            "ts": f"{datetime.now(UTC).isoformat()[:26]}Z",
            "process": process,
        }
        target.write(json.dumps(line, default=repr) + "\n")
        target.flush()

    return write


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def span(seconds: float) -> str:
    """Return a length of time in two or three characters and a unit."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms" if seconds >= 0.001 else "<1ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
