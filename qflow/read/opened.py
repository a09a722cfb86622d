"""Runs, steps and events as listings show them: what is encrypted opened where the key is at hand,
else marked; what is to be masked, masked."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from qflow.core.middleware import Place
from qflow.core.said import INPUT
from qflow.core.sealed import Sealed, sealed_by
from qflow.errors import AlteredError, SealedError
from qflow.read.events import EventRow
from qflow.read.masked import Mask, hidden
from qflow.read.runs import RunRow
from qflow.read.timeline import Attempt, Entry, StepView, Timeline

Decode = Callable[[str, Place], str]
Error = dict[str, Any] | None


class Opener:
    """Opens what `decode` can, marks what it cannot; without, marks all that is encoded."""

    def __init__(self, decode: Decode | None = None, mask: Mask | None = None) -> None:
        self._decode = decode
        self.mask = mask or Mask()

    def unmasked(self) -> Opener:
        """Return one that masks nothing."""
        return Opener(self._decode)

    def value(self, value: Any, place: Place) -> Any:
        """Return a value read from JSON with its encoded parts opened or marked, and masked."""
        return self.mask.value(self._opened(value, place))

    def data_of(self, row: EventRow) -> Any:
        """Return the data of an event with nothing masked: to go by, or to send again."""
        return self._opened(row.data, _event_place(row))

    def _opened(self, value: Any, place: Place) -> Any:
        text = json.dumps(value)
        if not sealed_by(text):
            return value
        note = ""
        if self._decode is not None:
            try:
                text = self._decode(text, place)
            except AlteredError:
                note = ", altered or moved"
            except SealedError:
                note = ", not here"
        return json.loads(text, object_hook=lambda part: _marked(part, note))

    def error(self, error: Error, run: str, step: str = "") -> Error:
        """Return a described error with its message and traceback."""
        if error is None:
            return None
        shown = {key: part for key, part in error.items() if key != "sealed"}
        if "sealed" in error:
            found = self._opened(error["sealed"], Place("error", run, step))
            if isinstance(found, list):
                shown["message"], shown["traceback"] = found
            else:
                shown["message"] = found
        for name in ("message", "traceback"):
            if isinstance(shown.get(name), str):
                shown[name] = self.mask.text(shown[name])
        return shown

    def row(self, row: RunRow) -> RunRow:
        """Return a run as a list shows it, without its traceback."""
        error = self.error(row.error, row.id)
        if error is not None:
            error.pop("traceback", None)
        return replace(row, error=error)

    def event(self, row: EventRow) -> EventRow:
        """Return an entry of the event stream."""
        data = self.data_of(row)
        return replace(row, data=self.mask.value(data), reason=self.about(row.reason, row))

    def about(self, text: str, row: EventRow) -> str:
        """Return text about an event, such as why it started nothing."""
        return str(hidden(self.mask.text(text), self.mask.secrets(row.data)))

    def entry(self, told: Entry, run: str) -> Entry:
        """Return an entry of a run's trace."""
        shown = {name: self.mask.text(v) if isinstance(v, str) else v for name, v in told.items()}
        if "error" in told:
            shown["error"] = self.error(told["error"], run, told.get("id", ""))
        if "log" in told:
            shown["log"] = self.value(told["log"], Place("log", run, told["id"]))
        return shown

    def story(self, told: Timeline) -> Timeline:
        """Return a run whole."""
        run, event = told.row.id, told.event
        error = self.error(told.error, run)
        place = Place("event", event["id"], event["name"])
        shown = replace(
            told,
            row=replace(told.row, error=error),
            event={**event, "data": self.value(event.get("data"), place)},
            handler=tuple(self._attempt(attempt, run, "") for attempt in told.handler),
            steps=tuple(self._step(step, run) for step in told.steps),
            output=self.value(told.output, Place("output", run)),
            error=error,
            reason=self.mask.text(told.reason),
        )
        steps = (self._opened(s.output, Place("step", run, s.id)) for s in told.steps)
        data = self._opened(event.get("data"), place)
        secrets = self.mask.secrets(data, self._opened(told.output, Place("output", run)), *steps)
        whole: Timeline = hidden(shown, secrets)
        return whole

    def _step(self, step: StepView, run: str) -> StepView:
        return replace(
            step,
            attempts=tuple(self._attempt(attempt, run, step.id) for attempt in step.attempts),
            output=self.value(step.output, Place("step", run, step.id)),
            error=self.error(step.error, run, step.id),
            wants=self.mask.text(step.wants),
            match=self.mask.text(step.match),
        )

    def _attempt(self, attempt: Attempt, run: str, step: str) -> Attempt:
        log = self._opened(attempt.log, Place("log", run, step)) if attempt.log else None
        if isinstance(log, list):
            log = [[at, level, self._line(level, text)] for at, level, text in log]
        return replace(attempt, error=self.error(attempt.error, run, step), log=log)

    def _line(self, level: str, text: str) -> str:
        if level == INPUT and not self.mask.is_empty:
            with suppress(ValueError):  # it was cut
                return json.dumps(self.mask.value(json.loads(text)), ensure_ascii=False)
        return self.mask.text(text)


def _event_place(row: EventRow) -> Place:
    return Place("event", row.id or row.of or row.entry, row.name)


def _marked(part: dict[str, Any], note: str) -> Any:
    sealed = Sealed.of(part)
    return part if sealed is None else f"encrypted ({sealed.by}{note})"
