"""What starts runs in a harness: events, as a router reads them, and schedules, as time passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from qflow.core.cron import Cron, fire_ms, next_tick, tick_event
from qflow.core.event import Event, as_mapping
from qflow.core.function import Function
from qflow.core.match import Triggers
from qflow.core.middleware import Hooks
from qflow.engine.intake import Rejected, read_entry
from qflow.errors import EventError
from qflow.store import stream
from qflow.testing.opened import OpenSteps
from qflow.testing.record import State, event_of
from qflow.testing.virtual import Agenda, VirtualClock

_SEEN_MS: Final = 24 * 3_600_000


class Runs(Protocol):
    """What is needed of the harness's memory."""

    clock: VirtualClock
    agenda: Agenda
    states: list[State]
    opened: OpenSteps
    functions: dict[str, Function[Any]]

    def create(self, function: Function[Any], event_id: str, text: str) -> State:
        """Create a run with an event's text."""
        ...


class Intake:
    """Takes what apps and steps send; it is the outlet of the apps."""

    def __init__(self, runs: Runs) -> None:
        self.events: list[Event[Any]] = []
        self._runs = runs
        self._entries = 0
        self._seen: dict[tuple[str, str], int] = {}
        functions = runs.functions.values()
        self._triggers = Triggers(
            {
                each.id: {"triggers": [trigger.to_spec() for trigger in each.triggers]}
                for each in functions
            }
        )
        for function in functions:
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

    def _append(self, fields: Sequence[str], read: Callable[[str], Event[Any]]) -> None:
        raw = [part.encode() for part in fields]
        self._entries += 1
        entry = stream.Entry(
            f"{self.now_ms()}-{self._entries}", dict(zip(raw[::2], raw[1::2], strict=True))
        )
        self._runs.agenda.add(self.now_ms(), partial(self._route, entry, read))

    def _route(self, entry: stream.Entry, event_in: Callable[[str], Event[Any]]) -> None:
        read = read_entry(entry)
        if isinstance(read, Rejected):
            raise EventError(f"an event was rejected: {read.reason}")
        runs, now_ms = self._runs, self.now_ms()
        self.events.append(event_in(read.text))
        runs.opened.deliver(runs.states, read)
        matched = self._triggers.matching(read.name, lambda: as_mapping(read.text), now_ms)
        for function in matched.functions:
            key = function, read.event_id
            if self._seen.get(key, 0) <= now_ms:
                self._seen[key] = now_ms + _SEEN_MS
                runs.create(runs.functions[function], read.event_id, read.text)

    def _plan_tick(self, function: Function[Any], cron: Cron, after_ms: int) -> None:
        tick_ms = next_tick(cron, after_ms)
        at_ms = fire_ms(cron, tick_ms, f"{function.id}|{cron.key}|{tick_ms}")
        self._runs.agenda.add(at_ms, partial(self._fire, function, cron, tick_ms))

    def _fire(self, function: Function[Any], cron: Cron, tick_ms: int) -> None:
        self._plan_tick(function, cron, tick_ms)
        self._runs.create(function, *tick_event(cron, tick_ms, self.now_ms()))


def _itself(event: Event[Any], _text: str) -> Event[Any]:
    return event
