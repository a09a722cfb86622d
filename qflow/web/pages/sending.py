"""Sending an event by hand, new or again with edits."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from qflow.errors import UsageError
from qflow.read import events, functions
from qflow.store import stream
from qflow.web.exchange import Answer, Ask, Go, Html, Site
from qflow.web.intake import read_event


def form(site: Site, ask: Ask) -> Answer:
    """Show the form, filled in with an event to send again where one is named."""
    name, data = ask.query.get("name", ""), "{\n  \n}"
    of = {"again": "", "rejected": ""}
    for source, stream_key in _sources(site):
        if ask.query.get(source):
            row = site.opener.event(events.find(site.redis, stream_key, ask.query[source]))
            name, of[source] = row.name, row.entry
            data = row.data if isinstance(row.data, str) else json.dumps(
                row.data, indent=2, ensure_ascii=False
            )  # fmt: skip
    return _form(site, {"name": name, "data": data, "id": "", **of}, "")


def send(site: Site, ask: Ask) -> Answer:
    """Send the event of the form; show it again, with what is wrong, where that cannot be."""
    fields = {n: ask.form.get(n, "") for n in ("name", "data", "id", "again", "rejected")}
    try:
        event = read_event(
            {
                "name": fields["name"].strip(),
                "data": _data(site, fields),
                "id": fields["id"].strip(),
            },
            time.time_ns() // 1_000_000,
        )
        (sent,) = stream.append(site.redis, site.keys, [event])
        if fields["rejected"]:
            mended = events.find(site.redis, site.keys.rejected, fields["rejected"])
            site.redis.call("XDEL", site.keys.rejected, mended.entry)
    except UsageError as error:
        return _form(site, fields, str(error), 400)
    return Go(f"/events/{sent}" if sent.isalnum() else "/events")


def _form(site: Site, fields: dict[str, str], problem: str, status: int = 200) -> Answer:
    views = functions.functions(site.redis, site.keys)
    names = {t["event"] for v in views for t in v.spec.get("triggers", ()) if "event" in t}
    context = {"at": "events", "fields": fields, "problem": problem, "names": sorted(names)}
    return Html("send.html", context, status)


def _sources(site: Site) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return from where an event may be sent again: the field that names it, and its stream."""
    return ("again", site.keys.events), ("rejected", site.keys.rejected)


def _data(site: Site, fields: Mapping[str, str]) -> Any:
    """Return the data of the form, with what was masked in it as it was in the event it is of."""
    data, old = _json(fields["data"]), None
    for source, stream_key in _sources(site):
        if fields[source]:
            old = site.opener.data_of(events.find(site.redis, stream_key, fields[source]))
    return site.opener.mask.restore(data, old)


def _json(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        raise UsageError(f"the data are not JSON at {at}: {error.msg}") from None
    except RecursionError:
        raise UsageError("the data are nested too deeply") from None
