"""Listens to what steps print and log, for as long as a worker is at work in this process.

Standard output goes where it went before, and what is written in the context of a step also to its
listener; so do records of the stdlib's logging. A thread that a step starts by itself has a context of
its own, and is not heard.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TextIO

from qflow.core.outcome import Raised, Returned, StepCall
from qflow.core.said import INPUT, NOTICE, Line, hearing

LONGEST: Final = 8 * 1024
"""Characters of one line, or of one record with its traceback."""

_OVERHEAD: Final = 24  # what a line costs besides its text

_lock = threading.Lock()


class Heard:
    """What one attempt of a step says: of a lot the beginning and the end, half of the room each."""

    __slots__ = ("_began", "_ended", "_first", "_last", "_left_out", "_now_ms", "_part", "_room")

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._first: list[Line] | None = None
        self._part = ""
        self._ended = False

    def hear(self, level: str, text: str) -> None:
        """Take one line, or a record of several; nothing after the attempt's end."""
        with _lock:
            if not self._ended:
                self._add(level, text)

    def printed(self, text: str) -> None:
        """Take what is written to standard output, a line of it once it is complete."""
        with _lock:
            if self._ended:
                return
            *lines, self._part = (self._part + text).split("\n")
            self._part = self._part[: LONGEST + 1]
            for line in lines:
                self._add("print", line)

    def told(self, answer: Returned | Raised, call: StepCall) -> Returned | Raised:
        """Return how the attempt ended together with what it said; where it failed or said anything,
        also what it was called with."""
        with _lock:
            if self._part:
                self._add("print", self._part)
            self._ended = True
            if self._first is None:
                if not _ears.room or type(answer) is Returned:
                    return answer
                return answer._replace(said=_given(call))
            gap = []
            if self._left_out:
                words = (
                    f"… {self._left_out:,} lines left out: a step keeps {_ears.room // 1024} KiB …"
                )
                gap = [Line(self._last[0].at if self._last else 0, NOTICE, words)]
            began = answer.started_ms
            lines = (*self._first, *gap, *self._last)
            said = tuple(line._replace(at=max(0, line.at - began)) for line in lines)
        return answer._replace(said=_given(call) + said)

    def _add(self, level: str, text: str) -> None:
        if not _ears.room:
            return
        if self._first is None:
            self._first, self._last = [], deque[Line]()
            self._room, self._left_out = [_ears.room // 2] * 2, 0
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}… (cut)"
        line = Line(self._now_ms(), level, text)
        if self._room[0] > 0:
            self._first.append(line)
            self._room[0] -= _cost(line)
            return
        self._last.append(line)
        self._room[1] -= _cost(line)
        while self._room[1] < 0:
            self._room[1] += _cost(self._last.popleft())
            self._left_out += 1


def _given(call: StepCall) -> tuple[Line, ...]:
    """Return the line on what a step is called with, none where that is nothing or cannot be told."""
    if not (call.args or call.kwargs):
        return ()
    given = {"args": call.args, **call.kwargs} if call.kwargs else call.args
    try:
        text = json.dumps(given, default=lambda value: repr(value)[:200], ensure_ascii=False)
    except Exception:  # noqa: BLE001  # whatever a repr raises, keys that are no text, circles
        return ()
    return (Line(0, INPUT, text if len(text) <= LONGEST else f"{text[:LONGEST]}…"),)


def _cost(line: Line) -> int:
    return len(line.text.encode("utf-8", "surrogatepass")) + _OVERHEAD


class _Out:
    """Standard output with an ear to it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write `text`; the step at hand, if any, has said it."""
        listener = hearing.get()
        if isinstance(listener, Heard):
            listener.printed(text)
        return self.stream.write(text)

    def writelines(self, lines: Any) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Records(logging.Handler):
    """Gives the stdlib's records to the step at hand."""

    def emit(self, record: logging.LogRecord) -> None:
        listener = hearing.get()
        if listener is None:
            return
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001  # a record that cannot be formatted must not break its caller
            self.handleError(record)
        else:
            listener.hear(record.levelname.lower(), text)


class _Ears:
    """What listens in this process: once, however many workers are in it."""

    def __init__(self) -> None:
        self.room = 0
        self.count = 0
        self.out: _Out | None = None
        self.records = _Records()
        self.records.setFormatter(logging.Formatter("%(name)s: %(message)s"))


_ears: Final = _Ears()


def listen(room: int) -> Callable[[], None]:
    """Keep up to `room` bytes of what each attempt of a step says, 0: nothing; return what ends it."""
    if not room:
        return lambda: None
    with _lock:
        _ears.room = room
        _ears.count += 1
        if _ears.count == 1:
            _ears.out = _Out(sys.stdout)
            sys.stdout = _ears.out
            logging.getLogger().addHandler(_ears.records)
    return _deaf


def _deaf() -> None:
    with _lock:
        _ears.count -= 1
        if _ears.count:
            return
        _ears.room = 0
        if _ears.out is not None and sys.stdout is _ears.out:
            sys.stdout = _ears.out.stream
        logging.getLogger().removeHandler(_ears.records)
