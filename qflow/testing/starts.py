"""Starts of runs in memory: what `create.lua` and `admit.lua` do on Redis.

What a run has to pass and what may end it are the engine's own answer (`engine.starting`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from qflow.core.function import Function
from qflow.core.ids import ulid
from qflow.testing.ends import Ends
from qflow.testing.gates import Gates, Verdict
from qflow.testing.slots import Slots
from qflow.testing.state import State, Terms
from qflow.testing.virtual import Agenda

_SEEN_MS: Final = 24 * 3_600_000


class Arrival(NamedTuple):
    """An event of a run: its id and text, its place among all that came, and when it came."""

    event_id: str
    text: str
    place: int
    at_ms: int


class Surroundings(Protocol):
    """What starts need of the harness's memory."""

    states: list[State]
    agenda: Agenda
    functions: dict[str, Function[Any]]
    began_ms: int

    @property
    def arrivals(self) -> int:
        """How many events were handled so far."""
        ...

    def now_ms(self) -> int:
        """Return the time."""
        ...

    def wake(self, state: State, due_ms: int) -> None:
        """Enter the handler of a run at `due_ms`."""
        ...


class Starts:
    """Creates the runs of a harness, once for each event, and lets them begin when they may."""

    def __init__(self, around: Surroundings, ends: Ends, most: Mapping[str, int]) -> None:
        self._around = around
        self._ends = ends
        self._gates = Gates(self)
        self._slots = Slots(most, self._enter)
        self._seen: dict[tuple[str, str], tuple[int, State]] = {}
        self._once: dict[tuple[str, str], tuple[int, State]] = {}
        self._held: list[tuple[str, Callable[[], None]]] = []
        self.paused: dict[str, str] = {}
        self.cancel = ends.cancel
        self.now_ms = around.now_ms

    def create(self, function: str, arrival: Arrival, terms: str) -> State:
        """Create the run of an event, unless the event, or one of the same idempotency value, started this
        function before; return the run that the event has."""
        now_ms = self.now_ms()
        value = json.loads(terms).get("once", "") if terms else ""
        seen, once = (function, arrival.event_id), (function, value)
        before = _recent(self._seen.get(seen), now_ms) or _recent(self._once.get(once), now_ms)
        if before is not None:
            self._seen.setdefault(seen, (now_ms + _SEEN_MS, before))
            return before
        state = self.made(function, arrival, terms)
        verdict = Verdict()
        if self.paused.get(function) != "skip":
            verdict = self._gates.passing(state)
        found = verdict.join or state
        if found is state:
            self.begin(state, verdict)
        self._seen[seen] = now_ms + _SEEN_MS, found
        if value and found.status != "skipped":
            self._once[once] = now_ms + _SEEN_MS, found
        return found

    def made(self, function: str, arrival: Arrival, terms: str) -> State:
        """Return a run that is not among the others yet."""
        given: dict[str, Any] = json.loads(terms) if terms else {}
        around, now_ms = self._around, self.now_ms()
        # Made of nothing but what the test did before, so that backoff, which ids seed, is the same.
        run = ulid(now_ms - around.began_ms, (len(around.states) + 1).to_bytes(10))
        state = State(run, around.functions[function], arrival.event_id, arrival.text, now_ms)
        state.since = around.arrivals
        state.terms = Terms(
            arrival.place,
            arrival.at_ms,
            gates=given.get("gates", []),
            rules=given.get("cancel", []),
            spans={kind: given[kind] for kind in ("start", "finish") if kind in given},
            flow=given.get("flow", ""),
            ahead=given.get("ahead", 0),
        )
        return state

    def begin(self, state: State, verdict: Verdict) -> None:
        """Let a run be among the others, and begin: now or later, or never."""
        self._around.states.append(state)
        skip = verdict.skip
        if self.paused.get(state.function.id) == "skip":
            skip = "its function is paused"
        if skip:
            self._skip(state, skip)
            return
        self._ends.watch(state)
        if verdict.due_ms:
            self._delay(state, verdict)
            return
        if state.terms.ahead < 0:
            state.note(self.now_ms(), "", 0, "priority")
        self._queue(state)

    def fire(self, state: State) -> None:
        """Let a run that waits for its time start now: it passes the gates that it has left."""
        self._gates.leave(state)
        verdict = self._gates.passing(state)
        if verdict.skip:
            self._skip(state, verdict.skip)
            self._ends.ended(state)
        elif verdict.due_ms:
            self._delay(state, verdict)
        else:
            self._queue(state)

    def replace(self, pending: State, newer: State, due_ms: int) -> None:
        """Let a run that waits be of a newer event, and wait until `due_ms`."""
        pending.event, pending.event_id = newer.event, newer.event_id
        old, new = pending.terms, newer.terms
        new.gate, new.first_ms, new.gather, new.version = (
            old.gate, old.first_ms, old.gather, old.version,
        )  # fmt: skip
        pending.terms = new
        self._ends.watch(pending)
        self._wait(pending, due_ms)

    def holds_back(self, function: str, go_on: Callable[[], None]) -> bool:
        """Return whether a function is paused; then `go_on` is called when it is resumed."""
        if function not in self.paused:
            return False
        self._held.append((function, go_on))
        return True

    def resume(self, function: str) -> None:
        """End a function's pause, and let go on what it held back, in that order."""
        del self.paused[function]
        held, self._held = self._held, []
        for each, go_on in held:
            if each == function:
                go_on()
            else:
                self._held.append((each, go_on))

    def release(self, state: State) -> None:
        """Drop what a run that has ended holds."""
        self._gates.release(state)
        self._slots.release(state)

    def _queue(self, state: State) -> None:
        state.due_ms, state.waits_for = 0, ""
        again = partial(self._queue_again, state, state.turn)
        if self.holds_back(state.function.id, again):
            state.waits_for = "held by the pause of its function"
        elif self._slots.take(state):
            self._enter(state)
        else:
            state.waits_for = "behind the limit of its runs"

    def _queue_again(self, state: State, turn: int) -> None:
        if not state.ended and state.turn == turn:
            self._queue(state)

    def _enter(self, state: State) -> None:
        self._around.wake(state, self.now_ms())
        state.due_ms, state.waits_for = 0, ""

    def _delay(self, state: State, verdict: Verdict) -> None:
        if verdict.gather is not None:
            self._gates.gather(state, verdict.gather)
        state.note(self.now_ms(), "", 0, verdict.why)
        state.waits_for = verdict.why
        self._wait(state, verdict.due_ms)

    def _wait(self, state: State, due_ms: int) -> None:
        state.turn += 1
        state.due_ms = due_ms
        self._around.agenda.add(due_ms, partial(self._due, state, state.turn))

    def _due(self, state: State, turn: int) -> None:
        if not state.ended and state.turn == turn:
            self.fire(state)

    def _skip(self, state: State, reason: str) -> None:
        state.status, state.reason = "skipped", reason
        state.note(self.now_ms(), "", 0, "skipped", reason)


def _recent(found: tuple[int, State] | None, now_ms: int) -> State | None:
    return found[1] if found is not None and found[0] > now_ms else None
