"""Limits: what each allows, who holds its slots, who waits, and which values of its key are busiest."""

from __future__ import annotations

from typing import Final

from qflow.read.limits import limits
from qflow.web.exchange import Answer, Ask, Html, Site

BUSIEST: Final = 10
"""Values of a key that are shown of a limit."""


def listing(site: Site, ask: Ask) -> Answer:
    """List the concurrency limits, those that most runs wait for first."""
    found = sorted(limits(site.redis, site.keys), key=lambda view: (-view.waiters, view.id))
    context = {"at": "limits", "limits": found, "most": BUSIEST}
    return Html("_limit_rows.html" if ask.partial else "limits.html", context)
