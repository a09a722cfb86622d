"""The one log of `qflow dev`: a line an event, each under the name of the process it comes from."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, TextIO

from qflow.logs import LINES

_COLOURS: Final = {"dev": "36", "redis": "35", "router": "34", "scheduler": "33", "worker": "32"}
_LEVELS: Final = {logging.WARNING: "33", logging.ERROR: "31"}
_HEAD: Final = re.compile(r"(?:\x1b\[[\d;]*m)?(\d\d:\d\d:\d\d) (\w+) +")
_SHOWN: Final = {
    "event.unmatched": "event {name} starts nothing: no function has that trigger",
    "event.unmatched unmet": (
        "event {name} starts nothing: no condition holds; see qflow functions explain FUNCTION "
        "--event-id {id}"
    ),
}
"""What a service keeps for debugging and someone who writes functions wants to see."""

_QUIET: Final = ("leader.gained", "leader.lost")
"""What there is to know of several schedulers, and here is one."""

_SCHEDULING: Final = ("rescuer", "pruner")


class Console:
    """Writes lines to `stream`, from any thread."""

    def __init__(
        self, level: str = "info", as_json: bool = False, stream: TextIO | None = None
    ) -> None:
        self._stream = stream or sys.stdout
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._as_json = as_json
        self.coloured = not as_json and self._stream.isatty()
        self._lock = threading.Lock()

    def say(self, process: str, text: str, level: int = logging.INFO) -> None:
        """Write a line of one of our own processes."""
        if level < self._level:
            return
        if self._as_json:
            name = logging.getLevelName(level).lower()
            self._put(
                json.dumps({"message": text, "process": process, "level": name, "ts": _stamp()})
            )
            return
        text = self._paint(text, _LEVELS.get(level, ""))
        self._put(f"{time.strftime('%H:%M:%S')} {self._named(process)}{text}")

    def show(self, lines: list[str]) -> None:
        """Write a block as it is, for people; nothing where the log is JSON."""
        if lines and not self._as_json:
            self._put("\n".join(lines))

    def relay(self, process: str, line: str) -> None:
        """Write a line of another process: of its log, or what user code printed."""
        if self._as_json:
            if line.startswith("{"):
                self._put(line)
            else:
                self.say(process, line)
            return
        head = _HEAD.match(line)
        if head is None:
            self._put(f"{time.strftime('%H:%M:%S')} {self._named(process)}{line}")
        else:
            self._put(f"{head[1]} {self._named(head[2])}{line[head.end() :]}")

    def sink(self, name: str, fields: Mapping[str, Any]) -> None:
        """Write what a service of this process emits; attach it to `qflow.telemetry`."""
        level, text = LINES.get(name, (logging.NOTSET, ""))
        shown = f"{name} unmet" if fields.get("unmet") else name
        if shown in _SHOWN:
            level, text = logging.INFO, _SHOWN[shown]
        if level >= self._level and name not in _QUIET:
            thread = threading.current_thread().name
            process = "scheduler" if thread in _SCHEDULING else thread
            self.say(
                process if process in _COLOURS else "dev", text.format_map(_Known(fields)), level
            )

    def _named(self, process: str) -> str:
        return self._paint(f"{process:<9} ", _COLOURS.get(process, ""))

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self.coloured else text

    def _put(self, text: str) -> None:
        data = text + "\n"
        with self._lock, suppress(OSError, ValueError):  # a terminal that is gone stops no work
            try:
                self._stream.write(data)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(data.encode(encoding, "replace").decode(encoding))
            self._stream.flush()


class _Known(dict[str, Any]):
    """Fields of an event; one that is missing shows as "?" and breaks nothing."""

    def __missing__(self, key: str) -> str:
        return "?"


def _stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
