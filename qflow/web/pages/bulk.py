"""Acting on many runs: what it would be about, beginning it, how far it is, stopping it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from qflow.core.ids import is_ulid, ulid
from qflow.errors import UsageError
from qflow.read import bulks, query, runs
from qflow.read.bulks import MEANT, STATES, BulkView
from qflow.store import bulk, script
from qflow.store.bulk import KINDS, Bulk
from qflow.web.exchange import Answer, Ask, Go, Html, Refused, Site

WORDS: Final = {
    "cancel": ("Cancel", "cancelled"),
    "rerun": ("Run again", "run again"),
    "retry": ("Retry now", "retried"),
}
"""Each kind as a button says it, and as done."""

_RATE: Final = 50.0
_FASTEST: Final = 1_000.0
_RUN: Final = "run."
_PREVIEWED: Final = 8


class Asked(NamedTuple):
    """What an action would be about: the runs in order, and the words for them."""

    kind: str
    runs: list[str]
    what: str
    before: int


def listing(site: Site, ask: Ask) -> Answer:
    """List the newest actions."""
    context = {"at": "runs", "bulks": bulks.newest(site.redis, site.keys), "words": WORDS}
    return Html("_bulk_rows.html" if ask.partial else "bulks.html", context)


def preview(site: Site, ask: Ask) -> Answer:
    """Show how many runs an action would be about, before it is begun."""
    asked = _asked(site, ask.query)
    rows = runs.rows(site.redis, site.keys, asked.runs[:_PREVIEWED])
    fields = [(name, value) for name, value in ask.query.items() if name in ("kind", "q")]
    fields += [(name, "on") for name in ask.query if name.startswith(_RUN)]
    fields.append(("before", str(asked.before)))
    context = {
        "at": "runs", "asked": asked, "words": WORDS, "fields": fields, "rate": int(_RATE),
        "rows": [site.opener.row(row) for row in rows],
    }  # fmt: skip
    return Html("bulk_preview.html", context)


def start(site: Site, ask: Ask) -> Answer:
    """Begin an action."""
    return Go(f"/bulk/{begin(site, ask, ask.form)}")


def show(site: Site, ask: Ask) -> Answer:
    """Show how far an action is."""
    view = bulks.find(site.redis, site.keys, ask.path["bulk"])
    context = {"at": "runs", "bulk": _shown(site, view), "words": WORDS}
    return Html("_bulk.html" if ask.partial else "bulk.html", context)


def halt(site: Site, ask: Ask) -> Answer:
    """Stop an action; what it has done stays done."""
    return Go(f"/bulk/{stop_bulk(site, ask.path['bulk'])}")


def begin(site: Site, ask: Ask, fields: Mapping[str, str]) -> str:
    """Begin an action on what `fields` choose and return its id."""
    asked = _asked(site, fields)
    rate = _rate(fields.get("rate") or str(_RATE))
    return begin_on(site, ask, asked.kind, asked.what, asked.runs, rate)


def begin_on(
    site: Site, ask: Ask, kind: str, what: str, ids: list[str], rate: float = _RATE
) -> str:
    """Begin an action on these runs and return its id."""
    name = ulid(runs.now_ms(site.redis), os.urandom(10))
    bulk.begin(site.redis, site.keys, Bulk(name, kind, what, ask.who.name, rate), ids)
    return name


def begin_json(site: Site, ask: Ask) -> BulkView:
    """Begin the action that the JSON of a request asks for: {kind, q or runs, rate}."""
    wanted = ask.json()
    listed = wanted.get("runs", []) if isinstance(wanted, dict) else None
    if not isinstance(listed, list) or not all(isinstance(run, str) for run in listed):
        raise Refused(400, "the body is an object with kind, q or runs (a list of ids), rate")
    if "q" not in wanted and not listed:
        raise Refused(400, "say which runs: q (a search; empty for all) or runs (a list of ids)")
    fields = {name: str(wanted[name]) for name in ("kind", "q", "rate") if name in wanted}
    name = begin(site, ask, {**fields, **{f"{_RUN}{run.upper()}": "on" for run in listed}})
    return bulks.find(site.redis, site.keys, name)


def stop_bulk(site: Site, name: str) -> str:
    """Stop an action and return its id; refuse where it is over."""
    view = bulks.find(site.redis, site.keys, name)
    if script.run(site.redis, bulk.stop(site.keys, name)) == 0:
        raise Refused(409, f"it is over: {view.done} of {view.total} runs were done")
    return name


def _asked(site: Site, fields: Mapping[str, str]) -> Asked:
    kind = fields.get("kind", "")
    if kind not in KINDS:
        raise UsageError(f"kind={kind!r}: one of {', '.join(KINDS)}")
    before_text = fields.get("before", "")
    now = runs.now_ms(site.redis)
    before = int(before_text) if before_text.isascii() and before_text.isdigit() else now + 1
    picked = [name.removeprefix(_RUN) for name in fields if name.startswith(_RUN)]
    if picked:
        rows = runs.rows(site.redis, site.keys, sorted(filter(is_ulid, picked)))
        meant = [row.id for row in rows if row.status in STATES[kind]]
        return Asked(kind, meant, f"{len(picked)} selected", before)
    asked = query.parse(fields.get("q", ""))
    if asked.run:
        raise UsageError(f"{asked.run!r} is one run: open it and act there")
    implied = replace(asked, statuses=asked.statuses or MEANT.get(kind, ()))
    what = str(implied) or "all that are unfinished"
    return Asked(kind, bulks.chosen(site.redis, site.keys, kind, asked, before), what, before)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.1 <= rate <= _FASTEST:
        raise UsageError(f"rate={text!r}: between 0.1 and {_FASTEST:g} runs a second")
    return rate


def _shown(site: Site, view: BulkView) -> dict[str, Any]:
    text = site.opener.mask.text
    faults = [(run, text(why)) for run, why in view.faults]
    left_ms = int(view.left * 1000 / view.rate) if view.state == "running" else 0
    return {**json.loads(json.dumps(view.as_dict())), "faults": faults, "left_ms": left_ms}
