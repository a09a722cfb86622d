"""How values look on a page: moments, lengths of time, shares, text that somebody else wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import unified_diff
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from qflow.core.cron import Cron, describe, next_tick
from qflow.core.durations import from_ms

LONGEST_SHOWN: Final = 20_000
"""Characters of a payload that a page shows; the rest is a click away."""


_MOST_COMPARED: Final = 3_000
_PART: Final = re.compile(r"(\d+)([a-z]+)")


def safe(text: object) -> str:
    """Return text with its control and direction characters made visible and harmless."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        char
        if char.isprintable() or char in "\n\t"
        else chr(0x2400 + ord(char)) if ord(char) < 32 else f"\\u{ord(char):04x}"
        for char in shown
    )  # fmt: skip


def length(ms: int | None) -> str:
    """Return a length of time as short as one wants to read it, a dash for none."""
    if ms is None:
        return "–"
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    unit = 3_600_000 if ms >= 86_400_000 else 60_000 if ms >= 3_600_000 else 1_000
    return _PART.sub(r"\1 \2 ", from_ms(ms // unit * unit)).strip()


def ago(then_ms: int, now_ms: int) -> str:
    """Return how long ago a moment was, in its largest unit."""
    seconds = max(0, now_ms - then_ms) // 1_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago" if seconds else "now"


def clock(ms: int) -> str:
    """Return a moment in UTC, to the millisecond; the browser shows its own zone's."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + f".{ms % 1000:03d}Z"


def zoned(ms: int, zone: str) -> str:
    """Return a moment as clocks in a zone show it, to the minute."""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).strftime("%a %d %b %H:%M %Z")


def percent(share: float) -> str:
    """Return a share of one, as exact as one wants to read it."""
    if 0 < share < 0.01:
        return "<1 %"
    return f"{share * 100:.0f} %"


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def pretty(value: Any) -> str:
    """Return a value as JSON over several lines."""
    return safe(json.dumps(value, indent=2, ensure_ascii=False))


def compact(value: Any, width: int = 120) -> str:
    """Return a value as JSON on one line, cut to `width`."""
    text = safe(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= width else text[: width - 1] + "…"


def difference(left: Any, right: Any) -> list[tuple[str, str]]:
    """Return how two values differ as JSON, a line each with its mark: "-" only left, "+" only right, " "
    both, "…" where like lines were left out; nothing where they are the same."""
    return line_difference(pretty(left), pretty(right)) if left != right else []


def line_difference(left: str, right: str) -> list[tuple[str, str]]:
    """Return how two texts differ, as `difference` does."""
    one, other = (safe(text).splitlines()[:_MOST_COMPARED] for text in (left, right))
    lines = list(unified_diff(one, other, lineterm="", n=3))[2:]
    if lines and lines[0].startswith("@@ -1"):
        lines.pop(0)
    return [("…", "") if line.startswith("@@") else (line[0], line[1:]) for line in lines]


def error_line(error: Mapping[str, Any] | None) -> str:
    """Return an error as one line: its class and message."""
    if not error:
        return ""
    return safe(" ".join(f"{error.get('name')}: {error.get('message')}".split()))


class Told(NamedTuple):
    """A trigger in plain words: what it is, in which case, and in how long it fires next."""

    kind: str
    text: str
    when: str = ""
    next: str = ""


def trigger(spec: Mapping[str, Any], now_ms: int) -> Told:
    """Return a published trigger in plain words."""
    if "event" in spec:
        return Told("event", str(spec["event"]), str(spec.get("when") or ""))
    cron = Cron.from_spec(dict(spec))
    due = next_tick(cron, now_ms)
    text = describe(cron).replace(f" ({cron.tz})", f" {cron.tz}")
    return Told("cron", text[0].upper() + text[1:], next=length(_rounded(due - now_ms)))


def _rounded(ms: int) -> int:
    return ms if ms < 60_000 else ms // 60_000 * 60_000
