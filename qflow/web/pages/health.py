"""Health: what `qflow doctor` finds, each finding with its remedy."""

from __future__ import annotations

from qflow.read.audit import audit
from qflow.read.doctor import examine, findings
from qflow.web.exchange import Answer, Ask, Html, Site


def show(site: Site, ask: Ask) -> Answer:
    """Examine Redis and qflow on it; with ?audit=1 also whether any run is stuck."""
    facts = examine(site.redis, site.keys)
    context = {
        "at": "health",
        "findings": findings(facts),
        "facts": facts,
        "where": site.redis.target.shown,
        "audit": audit(site.redis, site.keys) if ask.query.get("audit") else None,
    }
    return Html("_findings.html" if ask.partial else "health.html", context)
