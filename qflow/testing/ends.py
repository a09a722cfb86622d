"""Ends of runs and what follows from them, in memory: events and deadlines that cancel, events that tell.

What `cancel.lua`, `overdue.lua`, `terms.lua`, `tell.lua` and `ending.lua` do on Redis; which rule an event
falls under is the core's answer (`core.cancel`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from qflow.core.cancel import rule_key
from qflow.core.event import SYSTEM, as_mapping
from qflow.core.middleware import Hooks
from qflow.core.trigger import names_matching
from qflow.core.waits import CONDITION
from qflow.engine.apply import told_of_failure
from qflow.engine.cancelling import rules_by_name
from qflow.engine.intake import Accepted
from qflow.errors import ExpressionError
from qflow.testing.state import State
from qflow.testing.virtual import Agenda


class Surroundings(Protocol):
    """What ends need of the harness's memory."""

    states: list[State]
    agenda: Agenda
    specs: dict[str, dict[str, Any]]

    def now_ms(self) -> int:
        """Return the time."""
        ...

    def append(self, fields: Sequence[str], hooks: Hooks | None) -> None:
        """Accept an event, given as fields and values in turn."""
        ...


class Ends:
    """Ends the runs of a harness from outside, and tells of every end. `drops` let go of what a run that has
    ended holds, and settle the steps that invoked it; `lock` is held while one is being cancelled."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.lock = threading.RLock()
        self.drops: list[Callable[[State], None]] = []

    def watch(self, state: State) -> None:
        """Let a run's deadlines count from now on, those that it has by its latest event."""
        terms = state.terms
        terms.version += 1
        terms.deadlines = {}
        for kind, span_ms in terms.spans.items():
            self._look_later(state, kind, span_ms, self._around.now_ms() + span_ms)

    def cancel(self, state: State, reason: str) -> bool:
        """Cancel a run, whatever it is at; return whether that ended it."""
        with self.lock:
            if state.ended:
                return False
            state.status, state.reason = "cancelled", reason
            state.note(self._around.now_ms(), "", state.attempt, "cancelled", reason)
            for interrupt in list(state.interrupts):
                interrupt()
            self.ended(state)
        return True

    def ended(self, state: State) -> None:
        """Let follow what the end of a run means for others; call it once for each."""
        state.turn += 1
        state.due_ms = 0
        state.suspended = False
        state.terms.deadlines = {}
        for drop in self.drops:
            drop(state)
        if state.status != "skipped":
            self._tell(state)

    def event(self, item: Accepted, place: int) -> None:
        """Cancel the runs that an event cancels."""
        rules = rules_by_name(self._around.specs.values())
        named = [found for name in names_matching(item.name) for found in rules.get(name, ())]
        if not named:
            return
        event = json.loads(item.text)
        reason = f"event {item.name} {item.event_id}"
        for function, rule in named:
            key = rule_key(function, rule, event)
            for state in list(self._falling(key, rule, item, place)):
                self.cancel(state, reason)

    def _falling(
        self, key: str, rule: Mapping[str, Any], item: Accepted, place: int
    ) -> Iterator[State]:
        span_ms, when = rule["timeout_ms"], rule["when"]
        for state in self._around.states:
            terms = state.terms
            if state.ended or not key or key not in terms.rules or terms.place >= place:
                continue
            if span_ms and item.entry_ms - terms.since_ms > span_ms:
                continue
            if not when or _meets(when, state, item):
                yield state

    def _look_later(self, state: State, kind: str, span_ms: int, due_ms: int) -> None:
        state.terms.deadlines[kind] = due_ms
        self._around.agenda.add(
            due_ms, partial(self._look, state, kind, span_ms, state.terms.version)
        )

    def _look(self, state: State, kind: str, span_ms: int, version: int) -> None:
        """Look at a deadline that has come; that of the end counts from when the run was started."""
        if state.ended or state.terms.version != version:
            return
        started_ms, now_ms = state.started_ms, self._around.now_ms()
        if kind == "start" and started_ms:
            state.terms.deadlines.pop(kind, None)
        elif kind == "finish" and (not started_ms or started_ms + span_ms > now_ms):
            self._look_later(state, kind, span_ms, (started_ms or now_ms) + span_ms)
        else:
            self.cancel(state, f"it did not {kind} within {span_ms / 1000:g} s")

    def _tell(self, state: State) -> None:
        listened = _listened(self._around.specs.values())
        kinds = [kind for kind in ("finished", state.status) if kind in listened]
        if not kinds or not state.is_told:
            return
        if state.status == "failed":
            how = told_of_failure(state.error)
        elif state.status == "completed":
            how = f'"output":{state.output}'
        else:
            how = f'"reason":{json.dumps(state.reason)}'
        data = (
            f'{{"run_id":"{state.id}","function_id":"{state.function.id}","status":"{state.status}",{how},'
            f'"event":{state.event}}}'
        )
        for kind in kinds:
            fields = ["name", f"qflow/function.{kind}", "data", data, "id", f"{state.id}:{kind}"]
            self._around.append([*fields, "of", state.function.id], state.function.hooks)


def _meets(when: str, state: State, item: Accepted) -> bool:
    from qflow.core import expression  # a harness without such rules never loads it

    bindings = {"event": as_mapping(state.event), "async": as_mapping(item.text)}
    with suppress(ExpressionError):
        return expression.compile(when, CONDITION).truthy(bindings, item.entry_ms)
    return False


def _listened(specs: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return which ends of runs some function listens for."""
    names = {trigger.get("event") for spec in specs for trigger in spec["triggers"]}
    return {name.rpartition(".")[2] for name in names.intersection(SYSTEM)}
