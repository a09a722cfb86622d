"""Text for Slack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MOST_SHOWN = 10


def escaped(value: object) -> str:
    """Return a value as Slack takes it in text."""
    text = " ".join(str(value).split())
    for char, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):  # Slack's whole list
        text = text.replace(char, name)
    return text[:200]


def listed(records: Sequence[dict[str, Any]]) -> str:
    """Return a line for each of the first records: what one would call it."""
    names = ("subject", "title", "name", "email", "id")
    lines = [
        next((f"• {escaped(record[name])}" for name in names if record.get(name)), "• (no name)")
        for record in records[:MOST_SHOWN]
    ]
    more = len(records) - MOST_SHOWN
    return "\n".join([*lines, f"… and {more} more"] if more > 0 else lines)
