"""Runs: pages of any depth, one search box mirrored in the address, live without jumping rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from qflow.core.ids import is_ulid
from qflow.core.status import RUN_STATUSES
from qflow.errors import UsageError
from qflow.read import query, runs
from qflow.read.query import Query
from qflow.read.runs import RunRow
from qflow.web.exchange import Answer, Ask, Go, Html, Site
from qflow.web.pages import views

PAGE: Final = 50
_MOST_NEW: Final = 99


def listing(site: Site, ask: Ask) -> Answer:
    """List runs; a search for one id leads to that run."""
    text = ask.query.get("q", "")
    try:
        asked = query.parse(text)
        if asked.run:
            return Go(f"/runs/{runs.find(site.redis, site.keys, asked.run)}")
        listed = page_of(site, ask, asked)
    except UsageError as error:
        listed = {**_nothing(), "problem": str(error)}
        asked = Query()
    if not ask.partial:
        saved = views.saved(site)
        listed = {**listed, "views": [(n, quote(q), q == str(asked)) for n, q in saved]}
    context = {"at": "runs", "q": text, "chips": _chips(asked), "problem": "", **listed}
    return Html("_run_rows.html" if ask.partial else "runs.html", context)


def page_of(site: Site, ask: Ask, asked: Query) -> dict[str, Any]:
    """Return a page of runs and how to go on.

    `upto`, the newest run that the reader sees, holds the page where it is: what came after it is
    counted, not shown.
    """
    now = runs.now_ms(site.redis)
    since = asked.since_ms(now)
    cursor, upto = ask.query.get("cursor", ""), ask.query.get("upto", "").upper()
    newer = 0
    held = runs.rows(site.redis, site.keys, [upto]) if is_ulid(upto) and not cursor else []
    if held:
        (first,) = held
        fresh = _page(site, asked, since, "", _MOST_NEW).rows
        newer = sum((row.created, row.id) > (first.created, first.id) for row in fresh)
        page = _page(site, asked, since, upto, PAGE - 1)
        rows = [row for row in held if _fits(row, asked)] + list(page.rows)
    else:
        page = _page(site, asked, since, cursor, PAGE)
        rows = list(page.rows)
    opened = [site.opener.row(row) for row in rows]
    text = str(asked)
    return {
        "rows": opened,
        "newer": newer,
        "cursor": cursor,
        "more": page.cursor,
        "q_quoted": quote(text),
        "upto": upto if held else (rows[0].id if rows and not cursor else ""),
        "show_function": not asked.function,
    }


def _page(site: Site, asked: Query, since: int, cursor: str, limit: int) -> runs.Page:
    return runs.page(
        site.redis, site.keys, function=asked.function, statuses=asked.statuses,
        cursor=cursor, limit=limit, since=since,
    )  # fmt: skip


def _fits(row: RunRow, asked: Query) -> bool:
    return not asked.statuses or row.status in asked.statuses


def _nothing() -> dict[str, Any]:
    return {
        "rows": [], "newer": 0, "cursor": "", "more": "", "q_quoted": "", "upto": "",
        "show_function": True,
    }  # fmt: skip


def _chips(asked: Query) -> list[dict[str, Any]]:
    """Return the states as switches: what a click on each would ask for."""
    chips = []
    for status in RUN_STATUSES:
        on = status in asked.statuses
        left = tuple(each for each in asked.statuses if each != status)
        wanted = replace(asked, statuses=left if on else (*asked.statuses, status))
        chips.append({"status": status, "on": on, "q": quote(str(wanted))})
    return chips
