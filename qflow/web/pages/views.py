"""Saved searches over runs, shared by all who use the dashboard."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from qflow.errors import LimitError, UsageError
from qflow.read import query
from qflow.read.nearest import NotFound
from qflow.read.snapshot import pairs
from qflow.web.exchange import Answer, Ask, Go, Site

_MOST: Final = 50
_LONGEST: Final = 40


def saved(site: Site) -> list[tuple[str, str]]:
    """Return the saved searches by name."""
    return sorted(pairs(site.redis.call("HGETALL", site.keys.views)).items())


def save(site: Site, ask: Ask) -> Answer:
    """Save a search under a name, in place of one of that name."""
    name = " ".join(ask.form.get("name", "").split())
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise UsageError(f"name a saved search in 1 to {_LONGEST} characters that can be printed")
    asked = str(query.parse(ask.form.get("q", "")))
    if not asked:
        raise UsageError("there is nothing to save: search for something first")
    if site.redis.call("HLEN", site.keys.views) >= _MOST:
        raise LimitError(f"{_MOST} searches are saved, the limit: remove one first")
    site.redis.call("HSET", site.keys.views, name, asked)
    return Go(f"/runs?q={quote(asked)}")


def remove(site: Site, ask: Ask) -> Answer:
    """Forget a saved search."""
    name = ask.form.get("name", "")
    if not site.redis.call("HDEL", site.keys.views, name):
        raise NotFound(f"no saved search {name!r}")
    return Go("/runs")
