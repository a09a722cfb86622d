"""One workflow: its runs, its source, its configuration."""

from __future__ import annotations

from typing import Any

from qflow.read import functions
from qflow.read import versions as kept
from qflow.read.pace import paces
from qflow.read.query import Query
from qflow.read.runs import now_ms
from qflow.read.steps import LOOKED_AT, step_paces
from qflow.web import words
from qflow.web.exchange import Answer, Ask, Html, Site
from qflow.web.pages.runs import page_of
from qflow.web.pages.workflows import described


def runs(site: Site, ask: Ask) -> Answer:
    """Show its runs."""
    context = _context(site, ask, "runs")
    listed = page_of(site, ask, Query(function=ask.path["function"]))
    return Html("_run_rows.html" if ask.partial else "workflow.html", {**context, **listed})


def steps(site: Site, ask: Ask) -> Answer:
    """Show its steps, as its newest runs took them."""
    context = _context(site, ask, "steps")
    newest = [row.id for row in context["workflow"]["pace"].recent[-LOOKED_AT:]]
    found = step_paces(site.redis, site.keys, newest)
    return Html("workflow.html", {**context, "steps": found, "looked_at": len(newest)})


def code(site: Site, ask: Ask) -> Answer:
    """Show its source at a version, or how two versions differ; else as running workers published it."""
    context = _context(site, ask, "code")
    wanted, against = ask.query.get("version", ""), ask.query.get("against", "")
    found = kept.versions(site.redis, site.keys, ask.path["function"]) if wanted else []
    shown = kept.version(found, wanted) if wanted else None
    other = kept.version(found, against) if wanted and against else None
    spec = shown.spec if shown else context["spec"]
    source = str(spec.get("source") or "")
    context |= {"source": source, "source_spec": spec, "shown": shown, "against": other}
    context["lines"] = words.line_difference(other.source, source) if other else []
    return Html("workflow.html", context)


def versions(site: Site, ask: Ask) -> Answer:
    """Show the versions that were published, when each was in force, and the runs under way with it."""
    context = _context(site, ask, "versions")
    found = kept.versions(site.redis, site.keys, ask.path["function"])
    return Html("workflow.html", {**context, "versions": found})


def configuration(site: Site, ask: Ask) -> Answer:
    """Show what it was defined with."""
    context = _context(site, ask, "configuration")
    return Html("workflow.html", {**context, "settings": _settings(context["spec"])})


def _context(site: Site, ask: Ask, tab: str) -> dict[str, Any]:
    function = ask.path["function"]
    view = functions.function(site.redis, site.keys, function)
    pace = paces(site.redis, site.keys, [function])[function]
    shown = described(view, pace, now_ms(site.redis))
    return {"at": "workflows", "workflow": shown, "spec": view.spec, "tab": tab}


def _settings(spec: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a function was defined with, as one reads it."""
    if not spec:
        return []
    backoff = spec.get("backoff")
    schedule = "15 s, 30 s, 1 m, 2 m, 5 m, 10 m, 20 m, 40 m, 1 h, 2 h, each at random below"
    if backoff:
        jitter = ", each at random below" if backoff["jitter"] else ""
        schedule = (
            f"from {backoff['base']}, times {backoff['factor']}, up to {backoff['max']}{jitter}"
        )
    told = [
        ("Function", spec["id"]),
        ("App", spec["app"]),
        ("Version", spec["version"]),
        ("Source", f"{spec['file']}:{spec['line']}" if spec.get("file") else "unknown"),
        ("Handler", "async" if spec.get("async") else "sync"),
        ("Attempts", f"{spec['retries'] + 1} for each step ({spec['retries']} retries)"),
        ("Backoff", schedule),
        (
            "Time-out of an attempt",
            words.length(spec["timeout_ms"]) if spec["timeout_ms"] else "none",
        ),
    ]
    known = {
        "id", "name", "app", "triggers", "retries", "timeout_ms", "backoff", "async", "source",
        "version", "file", "line", "publisher",
    }  # fmt: skip
    rest = [(name.replace("_", " ").capitalize(), words.compact(value, 400))
            for name, value in sorted(spec.items()) if name not in known and value]  # fmt: skip
    return told + rest
