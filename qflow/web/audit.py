"""The audit log: who did what through the dashboard or its API, newest last, kept by number."""

from __future__ import annotations

import json
from typing import Any, Final

from qflow.read.snapshot import pairs, text
from qflow.web.exchange import Answer, Ask, Html, Site

KEPT: Final = 10_000
_SHOWN: Final = 200
_MOST: Final = 300


def note(site: Site, ask: Ask, path: str) -> None:
    """Write down an action before it is done, so that none is done unwritten."""
    what = path.format(**ask.path) if ask.path else path
    details = {name: _told(site, value) for name, value in ask.form.items() if name != "token"}
    site.redis.call(
        "XADD", site.keys.audit, "MAXLEN", "~", KEPT, "*", "who", ask.who.name, "role", ask.who.role,
        "what", what, "details", json.dumps(details),
    )  # fmt: skip


def _told(site: Site, value: str) -> str:
    """Return a field of a form as the log keeps it: short, and without what is masked."""
    try:
        data = json.loads(value)
    except (ValueError, RecursionError):
        return site.opener.mask.text(value)[:_MOST]
    shown = site.opener.mask.value(data)
    return (value if shown == data else json.dumps(shown))[:_MOST]


def entries(site: Site, count: int = _SHOWN) -> list[dict[str, Any]]:
    """Return the newest entries, newest first."""
    found = []
    for entry, flat in site.redis.call("XREVRANGE", site.keys.audit, "+", "-", "COUNT", count):
        fields = pairs(flat)
        at = int(text(entry).partition("-")[0])
        found.append({**fields, "at": at, "details": json.loads(fields.get("details", "{}"))})
    return found


def show(site: Site, _ask: Ask) -> Answer:
    """Show the audit log."""
    return Html("audit.html", {"at": "audit", "entries": entries(site)})
