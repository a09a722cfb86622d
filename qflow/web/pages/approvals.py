"""Approvals: what waits for a person's decision, and deciding it."""

from __future__ import annotations

import json
import os
from dataclasses import replace

from qflow.core.memo import value_text
from qflow.read import approvals, runs
from qflow.store import script, wait
from qflow.web.exchange import Answer, Ask, Go, Html, Refused, Site

_MOST_NOTE = 2_000


def listing(site: Site, ask: Ask) -> Answer:
    """List what waits, longest first."""
    text = site.opener.mask.text
    found = [
        replace(each, title=text(each.title)) for each in approvals.pending(site.redis, site.keys)
    ]
    context = {"at": "approvals", "approvals": found}
    return Html("_approval_rows.html" if ask.partial else "approvals.html", context)


def decide(site: Site, ask: Ask) -> Answer:
    """Approve or reject, in the name of who asks."""
    decision = ask.path["decision"]
    if decision not in ("approve", "reject"):
        raise Refused(404, f"{decision!r} is no decision: approve or reject")
    found = approvals.find(site.redis, site.keys, ask.path["approval"])
    told = {
        "approved": decision == "approve",
        "by": ask.who.name,
        "note": ask.form.get("note", "")[:_MOST_NOTE],
        "at": runs.now_ms(site.redis),
    }
    result = value_text(json.dumps(told))
    call = wait.signal(site.keys, found.signal, os.urandom(12).hex(), result, site.keep.ttl_s)
    if not script.run(site.redis, call):
        raise Refused(409, f"approval {found.id} has been decided meanwhile")
    return Go(f"/runs/{found.run}")
