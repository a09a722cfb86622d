"""Errors: failed runs grouped by what they failed with."""

from __future__ import annotations

from qflow.read.faults import LOOKED_AT, faults
from qflow.web.exchange import Answer, Ask, Html, Site


def listing(site: Site, ask: Ask) -> Answer:
    """List the groups, the one seen last first."""
    groups = faults(site.redis, site.keys, ask.query.get("function", ""))
    shown = [(group, site.opener.row(group.runs[0])) for group in groups]
    context = {"at": "errors", "groups": shown, "looked_at": LOOKED_AT}
    context["total"] = sum(len(group.runs) for group in groups)
    return Html("_fault_rows.html" if ask.partial else "errors.html", context)
