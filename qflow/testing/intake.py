"""What starts runs in a harness: events, as a router reads them, and schedules, as time passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from qflow.core.cron import Cron, fire_ms, next_tick, tick_event
from qflow.core.event import Event, as_mapping
from qflow.core.function import Function
from qflow.core.match import Triggers
from qflow.core.middleware import Hooks
from qflow.engine.intake import Rejected, read_entry
from qflow.engine.starting import starting
from qflow.errors import EventError
from qflow.store import stream
from qflow.testing.ends import Ends
from qflow.testing.opened import OpenSteps
from qflow.testing.record import event_of
from qflow.testing.starts import Arrival, Starts
from qflow.testing.state import State
from qflow.testing.virtual import Agenda, VirtualClock


class Runs(Protocol):
    """What is needed of the harness's memory."""

    clock: VirtualClock
    agenda: Agenda
    states: list[State]
    opened: OpenSteps
    ends: Ends
    starts: Starts
    specs: dict[str, dict[str, Any]]
    functions: dict[str, Function[Any]]


class Intake:
    """Takes what apps and steps send; it is the outlet of the apps."""

    def __init__(self, runs: Runs) -> None:
        self.events: list[Event[Any]] = []
        self.accepted = 0
        self._runs = runs
        self._triggers = Triggers(runs.specs)
        for function in runs.functions.values():
            for cron in function.crons:
                self._plan_tick(function, cron, self.now_ms())

    def now_ms(self) -> int:
        """Return the time."""
        return self._runs.clock.now_ms()

    def take(self, events: Sequence[Event[Any]], encode: Callable[[Event[Any]], str]) -> list[str]:
        """Accept events: they start functions once nothing else is being done."""
        for event, data in [(event, encode(event)) for event in events]:
            v = ("v", event.v) if event.v else ()
            fields = ["name", event.name, "data", data, "id", event.id, "ts", str(event.ts), *v]
            self._append(fields, partial(_itself, event))
        return [event.id for event in events]

    def append(self, fields: Sequence[str], hooks: Hooks | None) -> None:
        """Accept an event that a step sends, as it would stand on the stream."""
        self._append(fields, lambda text: event_of(text, hooks))

    def signal(self, name: str, text: str) -> bool:
        """Give a signal to the step that waits for it; return whether one did."""
        return self._runs.opened.signal(name, text)

    def cancel(self, run: str, reason: str) -> bool:
        """Cancel a run; return whether that ended it."""
        found = next((state for state in self._runs.states if state.id == run), None)
        return found is not None and self._runs.ends.cancel(found, reason)

    def _append(self, fields: Sequence[str], read: Callable[[str], Event[Any]]) -> None:
        raw = [part.encode() for part in fields]
        self.accepted += 1
        entry = stream.Entry(
            f"{self.now_ms()}-{self.accepted}", dict(zip(raw[::2], raw[1::2], strict=True))
        )
        self._runs.agenda.add(self.now_ms(), partial(self._route, entry, self.accepted, read))

    def _route(
        self, entry: stream.Entry, place: int, event_in: Callable[[str], Event[Any]]
    ) -> None:
        read = read_entry(entry)
        if isinstance(read, Rejected):
            raise EventError(f"an event was rejected: {read.reason}")
        runs = self._runs
        self.events.append(event_in(read.text))
        runs.ends.event(read, place)
        runs.opened.deliver(runs.states, read)
        matched = self._triggers.matching(
            read.name, lambda: as_mapping(read.text), read.entry_ms, of=read.of
        )
        for function in matched.functions:
            terms = starting(runs.specs[function], read.text, read.entry_ms).terms
            arrival = Arrival(read.event_id, read.text, place, read.entry_ms)
            runs.starts.create(function, arrival, terms)

    def _plan_tick(self, function: Function[Any], cron: Cron, after_ms: int) -> None:
        tick_ms = next_tick(cron, after_ms)
        at_ms = fire_ms(cron, tick_ms, f"{function.id}|{cron.key}|{tick_ms}")
        self._runs.agenda.add(at_ms, partial(self._fire, function, cron, tick_ms))

    def _fire(self, function: Function[Any], cron: Cron, tick_ms: int) -> None:
        self._plan_tick(function, cron, tick_ms)
        now_ms = self.now_ms()
        event_id, text = tick_event(cron, tick_ms, now_ms)
        terms = starting(self._runs.specs[function.id], text, now_ms).terms
        arrival = Arrival(event_id, text, self.accepted, now_ms)
        self._runs.starts.create(function.id, arrival, terms)


def _itself(event: Event[Any], _text: str) -> Event[Any]:
    return event
