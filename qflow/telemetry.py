"""One instrumentation verb: `emit`. Logs, metrics and traces are sinks that attach here.

The events and their fields are listed in `EVENTS`; a test compares the list with the docs and with
every call. With no sink attached an emit costs a truth test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Sink = Callable[[str, Mapping[str, Any]], None]

EVENTS: Final[Mapping[str, str]] = {
    "event.received": "count",
    "event.rejected": "entry, reason",
    "event.unmatched": "name, id, unmet (conditions that did not hold)",
    "trigger.failed": "function, event, error",
    "run.created": "function, count",
    "run.claimed": "function, run, queue_wait_s, event_to_start_s (first claim only, else None)",
    "run.ended": "function, run, status, seconds, error",
    "step.ended": "function, run, step, attempt, outcome (ok, retry, failed), seconds, error",
    "step.vanished": "function, run, step",
    "commit.fenced": "function, run, step, attempt",
    "worker.started": "worker, functions, slots",
    "worker.stopped": "worker",
    "worker.lapsed": "worker",
    "worker.died": "worker, returned",
    "job.requeued": "function, run",
    "loop.blocked": "worker, seconds, where",
    "leader.gained": "name, token",
    "leader.lost": "name",
    "timers.moved": "count",
    "cron.fired": "function, tick",
    "redis.waiting": "error",
    "redis.back": "",
    "loop.ticked": "loop",
    "loop.failed": "loop, error",
    "functions.published": "count",
    "module.skipped": "module, missing",
    "function.unknown": "function, run",
}

_sinks: list[Sink] = []
_detailed: list[Sink] = []


def attach(sink: Sink, *, detail: bool = True) -> None:
    """Let `sink(name, fields)` see every event emitted in this process from now on.

    Without `detail` it may not hear of steps that went well: thousands a second.
    """
    _sinks.append(sink)
    if detail:
        _detailed.append(sink)


def detach(sink: Sink) -> None:
    """Undo `attach`."""
    _sinks.remove(sink)
    if sink in _detailed:
        _detailed.remove(sink)


def detailed() -> bool:
    """Tell whether anybody wants to hear of steps that went well."""
    return bool(_detailed)


def emit(name: str, /, **fields: Any) -> None:
    """Tell every sink that something happened."""
    if _sinks:
        for sink in tuple(_sinks):
            try:  # noqa: SIM105  # `suppress` takes six times as long
                sink(name, fields)
            except Exception:  # noqa: BLE001, S110  # a log that cannot be written ends nothing
                pass
