"""Draws a waterfall as bars of characters: one line a step, time from left to right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from qflow.cli import display
from qflow.read.waterfall import Lane, Waterfall

if TYPE_CHECKING:
    from rich.text import Text

_LOOKS: Final = {
    "queued": ("·", "dim"),
    "running": ("█", "green"),
    "failed": ("█", "red"),
    "retry": ("╌", "yellow"),
    "sleeping": ("─", "cyan"),
    "waiting": ("┄", "cyan"),
}
_NAME: Final = 24
_BARS: Final = 36


def lines(fall: Waterfall, notes: dict[str, str] | None = None) -> Iterator[Text]:
    """Return the lines of a waterfall; `notes` are put behind the steps they name."""
    for lane in fall.lanes:
        if lane.step is not None:
            yield _line(lane, fall, (notes or {}).get(lane.name, ""))
    took = display.length(fall.end - fall.start)
    yield _text(f"{'':<{_NAME}} 0{took:>{_BARS - 1}}", "dim")


def _line(lane: Lane, fall: Waterfall, note: str) -> Text:
    places: list[tuple[str, str]] = [(" ", "")] * _BARS
    for bar in lane.bars:
        first = min(_BARS - 1, (bar.start - fall.start) * _BARS // fall.span)
        last = max(first, min(_BARS - 1, (bar.end - fall.start) * _BARS // fall.span))
        for at in range(first, last + 1):
            if places[at][0] != "█" or bar.kind in ("running", "failed"):
                places[at] = _LOOKS[bar.kind]
    text = _text(f"{display.one_line(lane.name, _NAME):<{_NAME}} ", "bold")
    for character, style in places:
        text.append(character, style)
    status = lane.step.status if lane.step else ""
    text.append(f" {status}", display.STYLES.get(status, ""))
    tries = len(lane.step.attempts) if lane.step else 0
    if tries > 1:
        text.append(f", {tries} attempts", "dim")
    if note:
        text.append(f"  {display.one_line(note, 60)}", "dim")
    return text


def _text(line: str, style: str) -> Text:
    """Return a line whose blanks are kept, cut at the terminal's width."""
    from rich.text import Text

    return Text(line, style, no_wrap=True, overflow="ellipsis")
