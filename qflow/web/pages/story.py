"""A run: its waterfall, its steps with their attempts, its event, output and raw history."""

from __future__ import annotations

from typing import Any, Final

from qflow.read import runs, said
from qflow.read.around import around
from qflow.read.nearest import NotFound
from qflow.read.snapshot import text
from qflow.read.standing import standing
from qflow.read.timeline import Timeline, as_dict, entry, timeline
from qflow.read.waterfall import KINDS, waterfall
from qflow.web.exchange import Answer, Ask, Go, Html, Json, Site

_HISTORY: Final = 500
_CHILDREN: Final = 30
"""Invoked runs that stand within the waterfall of the one that invoked them."""


def show(site: Site, ask: Ask) -> Answer:
    """Show a run."""
    run = runs.find(site.redis, site.keys, ask.path["run"])
    if run != ask.path["run"]:
        return Go(f"/runs/{run}")
    told = tell(site, run)
    context: dict[str, Any] = {"at": "runs", "told": told, "fall": waterfall(told), "kinds": KINDS}
    context["waits"] = {
        step.kind for step in told.steps if step.status in ("waiting", "sleeping")
    } | ({"step"} if told.due is not None else set())
    context["level"] = ask.query.get("level", "")
    context["said"] = said.lines(told, context["level"])
    context["levels"], context["has_said"] = said.LEVELS, bool(said.lines(told))
    context["children"] = _children(site, told)
    context["standing"] = standing(told, around(site.redis, site.keys, told))
    return Html("_story.html" if ask.partial else "run.html", context)


def history(site: Site, ask: Ask) -> Answer:
    """Show the raw entries of a run's trace, oldest first."""
    run = ask.path["run"]
    after = ask.query.get("after", "")
    begin = f"({after}" if after.replace("-", "").isdigit() else "-"
    raw = site.redis.call("XRANGE", site.keys.trace(run), begin, "+", "COUNT", _HISTORY + 1)
    entries = [
        {"id": text(item[0]), **site.opener.entry(entry(item), run)} for item in raw[:_HISTORY]
    ]
    more = entries[-1]["id"] if len(raw) > _HISTORY else ""
    context = {"at": "runs", "told": tell(site, run), "entries": entries, "more": more}
    return Html("history.html", context)


def download(site: Site, ask: Ask) -> Answer:
    """Give a run whole, as a file of JSON."""
    run = runs.find(site.redis, site.keys, ask.path["run"])
    return Json(as_dict(tell(site, run)), name=f"run-{run}.json")


def _children(site: Site, told: Timeline) -> dict[str, Timeline]:
    """Return the runs that a run invoked, and those that they invoked, as far as they are there."""
    found: dict[str, Timeline] = {}
    wanted = [step.child for step in told.steps if step.child]
    while wanted and len(found) < _CHILDREN:
        run = wanted.pop(0)
        try:
            found[run] = tell(site, run)
        except NotFound:
            continue
        wanted += [step.child for step in found[run].steps if step.child not in ("", *found)]
    return found


def tell(site: Site, run: str) -> Timeline:
    """Return a run whole, opened where the key is at hand."""
    return site.opener.story(timeline(site.redis, site.keys, run))
