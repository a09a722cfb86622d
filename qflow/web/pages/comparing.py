"""Two runs side by side: which to choose, and how they differ."""

from __future__ import annotations

from typing import Any

from qflow.errors import UsageError
from qflow.read import runs
from qflow.read.compare import Comparison, Pair, compare
from qflow.read.query import Query
from qflow.read.waterfall import KINDS, Waterfall
from qflow.web.drawing import Rect, rects
from qflow.web.exchange import Answer, Ask, Go, Html, Site
from qflow.web.pages.runs import page_of
from qflow.web.pages.story import tell
from qflow.web.words import difference


def choose(site: Site, ask: Ask) -> Answer:
    """List what a run may be compared with: the one that it was made from, and others of its function."""
    run = runs.find(site.redis, site.keys, ask.path["run"])
    wanted = ask.query.get("with", "").strip()
    if wanted:
        return Go(f"/runs/{run}/against/{runs.find(site.redis, site.keys, wanted)}")
    told = tell(site, run)
    listed = page_of(site, ask, Query(function=told.row.function))
    return Html("against.html", {"at": "runs", "told": told, **listed})


def show(site: Site, ask: Ask) -> Answer:
    """Show two runs of one function side by side."""
    found = compared(site, ask)
    context: dict[str, Any] = {"at": "runs", "found": found, "kinds": KINDS}
    context["rows"] = [(pair, _drawn(found, pair), _differences(pair)) for pair in found.pairs]
    left, right = found.left, found.right
    context["ends"] = [
        ("Event data", difference(left.event.get("data"), right.event.get("data"))),
        ("Output", difference(left.output, right.output)),
        ("Error", difference(_error(left.error), _error(right.error))),
    ]
    context["span"] = max(fall.span for fall in found.falls)
    return Html("comparison.html", context)


def compared(site: Site, ask: Ask) -> Comparison:
    """Return the runs of a request side by side; raise UsageError where they are of two functions."""
    left, right = (
        tell(site, runs.find(site.redis, site.keys, ask.path[name])) for name in ("run", "other")
    )
    if left.row.function != right.row.function:
        raise UsageError(
            f"{left.row.id} is a run of {left.row.function}, {right.row.id} one of "
            f"{right.row.function}: compare runs of one function"
        )
    return compare(left, right)


def _drawn(found: Comparison, pair: Pair) -> tuple[list[Rect], list[Rect]]:
    """Return the bars of both sides, on one scale: that of the longer run."""
    span = max(fall.span for fall in found.falls)
    left, right = (Waterfall(fall.start, fall.start + span, fall.lanes, ()) for fall in found.falls)
    return (
        rects(pair.left.bars if pair.left else (), left),
        rects(pair.right.bars if pair.right else (), right),
    )


def _differences(pair: Pair) -> list[tuple[str, str]]:
    left, right = (lane.step if lane else None for lane in (pair.left, pair.right))
    return difference(_gave(left), _gave(right))


def _gave(step: Any) -> Any:
    return None if step is None else _error(step.error) if step.error else step.output


def _error(error: dict[str, Any] | None) -> Any:
    return None if error is None else {part: error.get(part) for part in ("name", "message")}
