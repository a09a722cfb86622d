"""Events: the stream, what each event started or why it started nothing, and the rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from qflow.core.explain import Explanation, explain
from qflow.core.trigger import names_matching
from qflow.errors import QflowError
from qflow.read import events, functions, runs
from qflow.read.events import EventRow
from qflow.read.functions import FunctionView
from qflow.read.runs import RunRow
from qflow.read.snapshot import text
from qflow.web.exchange import Answer, Ask, Html, Site

PAGE: Final = 40


class Received(NamedTuple):
    """An event, and the runs that it started."""

    row: EventRow
    runs: tuple[RunRow, ...]


class Ignored(NamedTuple):
    """A function that an event did not start, and why."""

    function: str
    why: str


def listing(site: Site, ask: Ask) -> Answer:
    """List events, newest first, each with the runs that it started."""
    name, cursor = ask.query.get("name", "").strip(), ask.query.get("cursor", "")
    page = events.page(site.redis, site.keys.events, cursor=cursor, limit=PAGE, name=name)
    context = {
        "at": "events",
        "tab": "stream",
        "events": received(site, page.rows),
        "cursor": cursor,
        "more": page.cursor,
        "name": name,
    }
    return Html("_event_rows.html" if ask.partial else "events.html", context)


def rejected(site: Site, ask: Ask) -> Answer:
    """List what could not be read as an event, with the reasons."""
    cursor = ask.query.get("cursor", "")
    page = events.page(site.redis, site.keys.rejected, cursor=cursor, limit=PAGE)
    context = {
        "at": "events", "tab": "rejected", "rows": [site.opener.event(row) for row in page.rows],
        "cursor": cursor, "more": page.cursor,
    }  # fmt: skip
    return Html("rejected.html", context)


def show(site: Site, ask: Ask) -> Answer:
    """Show an event: its payload, the runs it started, the functions that ignored it and why."""
    row = events.find(site.redis, site.keys.events, ask.path["event"])
    views = functions.functions(site.redis, site.keys)
    (found,) = received(site, [row], views)
    started = {run.function for run in found.runs}
    context = {
        "at": "events", "event": found.row, "runs": found.runs,
        "ignored": ignored(site, row, [view for view in views if view.id not in started]),
    }  # fmt: skip
    return Html("event.html", context)


def received(
    site: Site, rows: Sequence[EventRow], views: Sequence[FunctionView] | None = None
) -> list[Received]:
    """Return events with the runs that they started within a day: one look a matching function."""
    known = functions.functions(site.redis, site.keys) if views is None else views
    names = {view.id: {t.get("event") for t in view.spec.get("triggers", ())} for view in known}
    asked = [
        (at, site.keys.seen(function, row.id or row.entry))
        for at, row in enumerate(rows)
        for function, wanted in names.items()
        if wanted.intersection(names_matching(row.name))
    ]
    replies = site.redis.pipeline([("GET", key) for _, key in asked]) if asked else []
    ids = [(at, text(run)) for (at, _), run in zip(asked, replies, strict=True) if run]
    found = runs.rows(site.redis, site.keys, [run for _, run in ids])
    by_id = {run.id: site.opener.row(run) for run in found}
    return [
        Received(
            site.opener.event(row),
            tuple(by_id[run] for place, run in ids if place == at and run in by_id),
        )
        for at, row in enumerate(rows)
    ]


def ignored(site: Site, row: EventRow, views: Sequence[FunctionView]) -> list[Ignored]:
    """Return the functions that an event did not start: first those that came close."""
    event: dict[str, Any] = row.as_event()
    close, others = list[Ignored](), list[Ignored]()
    for view in views:
        if not view.spec:
            continue
        try:
            told = explain(view.spec, event, row.at)
        except QflowError as error:
            close.append(Ignored(view.id, site.opener.about(str(error), row)))
            continue
        wanted = [v for v in told.verdicts if v.outcome not in ("other name", "cron")]
        target = close if wanted else others
        target.append(Ignored(view.id, site.opener.about(_why(told), row)))
    return close + others


def _why(told: Explanation) -> str:
    if told.starts:
        return (
            "its trigger matches: not routed yet, published later, or its run is older than a day"
        )
    reasons = {verdict.reason for verdict in told.verdicts if verdict.outcome != "cron"}
    return "; ".join(sorted(reasons)) or "it starts by schedule only"
