"""Schedules: when each fires next, in its zone and the viewer's; pausing it, and running it now."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from qflow.core.cron import Cron, describe, next_tick
from qflow.engine import invoking
from qflow.read import functions
from qflow.read.functions import FunctionView
from qflow.read.pace import Pace, paces
from qflow.read.runs import now_ms
from qflow.web.exchange import Answer, Ask, Go, Html, Refused, Site

_NEXT: Final = 5


class Schedule(NamedTuple):
    """A cron trigger of a function: in plain words, its expression, zone and next ticks (ms)."""

    function: str
    name: str
    words: str
    expression: str
    zone: str
    ticks: tuple[int, ...]
    paused: str
    pace: Pace

    def as_dict(self) -> dict[str, Any]:
        """Return what the API tells."""
        return {
            "function": self.function,
            "words": self.words,
            "cron": self.expression,
            "tz": self.zone,
            "next": list(self.ticks),
            "paused": self.paused or None,
        }


def listing(site: Site, ask: Ask) -> Answer:
    """List the schedules, the next to fire first."""
    context = {"at": "schedules", "schedules": schedules(site)}
    return Html("_schedule_rows.html" if ask.partial else "schedules.html", context)


def run_now(site: Site, ask: Ask) -> Answer:
    """Start a function that has a schedule, beside its schedule."""
    view = functions.function(site.redis, site.keys, ask.path["function"])
    if not any("cron" in trigger for trigger in view.spec.get("triggers", ())):
        raise Refused(409, f"function {view.id!r} has no schedule: send it an event")
    run = invoking.start(site.redis, site.keys, view.spec, {}, site.keep)
    return Go(f"/runs/{run}" if run else "/schedules")


def schedules(site: Site) -> list[Schedule]:
    """Return every schedule that is published, the next to fire first."""
    views = [v for v in functions.functions(site.redis, site.keys) if _crons(v)]
    found = paces(site.redis, site.keys, [view.id for view in views])
    now = now_ms(site.redis)
    made = [_made(view, spec, found[view.id], now) for view in views for spec in _crons(view)]
    return sorted(made, key=lambda each: (each.ticks[0], each.function))


def _crons(view: FunctionView) -> list[dict[str, Any]]:
    return [trigger for trigger in view.spec.get("triggers", ()) if "cron" in trigger]


def _made(view: FunctionView, spec: dict[str, Any], pace: Pace, now: int) -> Schedule:
    cron = Cron.from_spec(dict(spec))
    ticks, at = list[int](), now
    for _ in range(_NEXT):
        at = next_tick(cron, at)
        ticks.append(at)
    words = describe(cron).replace(f" ({cron.tz})", f" {cron.tz}")
    name = str(view.spec.get("name") or view.id)
    return Schedule(
        view.id, name, words[0].upper() + words[1:], cron.expression, cron.tz, tuple(ticks),
        view.paused, pace,
    )  # fmt: skip
