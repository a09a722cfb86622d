"""Bars and ticks as SVG measures. SVG's attributes are no styles, so a strict policy allows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from qflow.read.runs import RunRow
from qflow.read.waterfall import Bar, Waterfall
from qflow.web.words import length

_LEAST: Final = 0.35
_SPARK_HEIGHT: Final = 20


class Rect(NamedTuple):
    """A bar: where it begins and how wide it is, in percent of the whole."""

    x: str
    width: str
    bar: Bar
    title: str


def rects(bars: Sequence[Bar], fall: Waterfall) -> list[Rect]:
    """Return the bars of one lane; a very short one stays wide enough to be seen."""
    made = []
    for bar in bars:
        x = (bar.start - fall.start) * 100 / fall.span
        width = max(_LEAST, bar.length * 100 / fall.span)
        x = max(0.0, min(x, 100 - width))
        begin = length(max(0, bar.start - fall.start))
        title = " · ".join(filter(None, (bar.note, length(bar.length), f"from +{begin}")))
        made.append(Rect(f"{x:.3f}%", f"{width:.3f}%", bar, title))
    return made


def ruler(fall: Waterfall) -> list[tuple[str, str, str]]:
    """Return five ticks: where, which end of the text stands there, and the time."""
    anchors = ("start", "middle", "middle", "middle", "end")
    return [
        (f"{25 * at}%", anchor, length(fall.span * at // 4) if at else "0")
        for at, anchor in enumerate(anchors)
    ]


def spark(rows: Sequence[RunRow], places: int = 40) -> list[tuple[int, float, float, str, str]]:
    """Return the recent runs as bars: x, y, height, status, title. The tallest took longest."""
    shown = rows[-places:]
    longest = max((row.duration_ms or 0 for row in shown), default=0) or 1
    offset = places - len(shown)
    made = []
    for at, row in enumerate(shown):
        took = row.duration_ms or 0
        height = max(3.0, _SPARK_HEIGHT * took / longest)
        title = f"{row.status}, {length(row.duration_ms)}"
        made.append(((offset + at) * 4, _SPARK_HEIGHT - height, height, row.status, title))
    return made
