"""Workflows: every function with what starts it, how it is doing, and what waits."""

from __future__ import annotations

from typing import Any

from qflow.core.status import UNFINISHED
from qflow.read import functions
from qflow.read.functions import FunctionView
from qflow.read.pace import Pace, paces
from qflow.read.runs import now_ms
from qflow.web import words
from qflow.web.exchange import Answer, Ask, Html, Site


def listing(site: Site, ask: Ask) -> Answer:
    """List the published functions."""
    views = [v for v in functions.functions(site.redis, site.keys) if not v.hidden]
    now = now_ms(site.redis)
    found = paces(site.redis, site.keys, [view.id for view in views])
    wanted = ask.query.get("q", "").strip().lower()
    shown = [described(view, found[view.id], now) for view in views if _matches(view, wanted)]
    context = {"at": "workflows", "workflows": shown, "q": ask.query.get("q", "")}
    return Html("_workflow_rows.html" if ask.partial else "workflows.html", context)


def described(view: FunctionView, pace: Pace, now: int) -> dict[str, Any]:
    """Return a function as pages show it."""
    spec = view.spec
    waiting = {status: view.runs[status] for status in UNFINISHED}
    return {
        "id": view.id,
        "name": spec.get("name") or view.id,
        "app": spec.get("app", ""),
        "published": bool(spec),
        "triggers": [words.trigger(each, now) for each in spec.get("triggers", ())],
        "paused": view.paused,
        "runs": view.runs,
        "total": sum(view.runs.values()),
        "waiting": waiting,
        "pace": pace,
        "standing": _standing(view, pace),
        "version": spec.get("version", ""),
    }


def _standing(view: FunctionView, pace: Pace) -> tuple[str, str]:
    """Return the state of a function and its words."""
    if not view.spec:
        return "cancelled", "not published"
    if view.paused:
        fates = {"skip": "paused, skipping", "hold": "paused, holding", "resuming": "resuming"}
        return "paused", fates.get(view.paused, "paused")
    if pace.recent and pace.recent[-1].status == "failed":
        return "failed", "last run failed"
    if view.runs["running"]:
        return "running", f"{view.runs['running']} running"
    if pace.recent:
        return "completed", "healthy"
    return "queued", "no runs yet" if not any(view.runs.values()) else "not ended yet"


def _matches(view: FunctionView, wanted: str) -> bool:
    text = " ".join([view.id, str(view.spec.get("name", "")), *view.triggers]).lower()
    return wanted in text
