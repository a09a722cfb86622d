"""How things look in the terminal: JSON, moments, lengths of time, tables."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

T = TypeVar("T")

_WORTH_A_BAR: Final = 100

STYLES: Final = {
    "completed": "green", "ok": "green", "failed": "red", "bad": "red", "died": "red",
    "running": "cyan", "waiting": "yellow", "sleeping": "yellow", "retry": "yellow",
    "warn": "yellow", "queued": "", "cancelled": "dim", "skipped": "dim", "dropped": "dim",
}  # fmt: skip
"""The colour of each word for a state."""

WIDTH: Final = 100


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON; without indent on one line, for streams of them."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates have no UTF-8 form
        text = json.dumps(value, indent=indent)
    sys.stdout.write(text + "\n")


def one_line(text: str, width: int = 0) -> str:
    """Return text that somebody else wrote, fit for one line of a terminal."""
    flat = safe(" ".join(text.split()))
    return flat if not width or len(flat) <= width else flat[: width - 1] + "…"


def safe(text: str) -> str:
    """Return text without what could move a terminal's cursor or change its colours."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def compact(value: Any, width: int) -> str:
    """Return a value as JSON on one line, cut to `width`."""
    return one_line(json.dumps(value, ensure_ascii=False), width)


def length(ms: int | None) -> str:
    """Return a length of time as short as one wants to read it, "" for none."""
    if ms is None:
        return ""
    if ms < 1_000:
        return f"{ms}ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f}s"
    from qflow.core.durations import from_ms  # the commands that are polled print JSON only

    return from_ms(ms // 1_000 * 1_000)


def ago(then_ms: int, now_ms: int) -> str:
    """Return how long ago a moment was, in its largest unit."""
    seconds = max(0, now_ms - then_ms) // 1_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def moment(ms: int | None, *, day: bool = True) -> str:
    """Return a moment in local time, to the millisecond; "" for none."""
    if ms is None:
        return ""
    from datetime import UTC, datetime

    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S") + f".{ms % 1000:03d}"


def error_line(error: dict[str, Any] | None, width: int = 0) -> str:
    """Return an error as one line: its class and message."""
    return one_line(f"{error['name']}: {error['message']}", width) if error else ""


def status(word: str) -> Text:
    """Return a state in its colour."""
    from rich.text import Text

    return Text(word, STYLES.get(word, ""))


def ansi(word: str) -> str | None:
    """Return the colour of a state for plain lines."""
    style = STYLES.get(word, "")
    return style if style in ("green", "red", "yellow", "cyan") else None


def console() -> Console:
    """Return the console; where nobody sees its width, lines have room for 100 characters."""
    from rich.console import Console

    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=WIDTH)


def cell(text: str, style: str = "") -> Text:
    """Return text for a column that gives way: cut at the column's width, never wrapped."""
    from rich.text import Text

    return Text(one_line(text), style, no_wrap=True, overflow="ellipsis")


def fact(name: str, value: Text | str) -> Text:
    """Return a line of facts: what it is, then how it is, cut at the terminal's width."""
    from rich.text import Text

    line = Text(f"{name:<10}", no_wrap=True, overflow="ellipsis")
    return line.append_text(value) if isinstance(value, Text) else line.append(one_line(value))


class Progress:
    """A bar on standard error, where somebody watches and there is something to wait for."""

    def __init__(self, total: int) -> None:
        import click

        hidden = total < _WORTH_A_BAR or not sys.stderr.isatty()
        self._bar: Any = click.progressbar(length=total, file=sys.stderr, hidden=hidden)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.render_finish()

    def step(self, item: T) -> T:
        """Count one thing as done; return it."""
        self._bar.update(1)
        return item


def progress(total: int) -> Progress:
    """Return the bar of a command that does `total` things."""
    return Progress(total)


def table(*columns: str, right: tuple[str, ...] = (), give_way: str = "") -> Table:
    """Return an empty table; where it is too wide for the terminal, column `give_way` is cut."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    empty = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        side: Literal["left", "right"] = "right" if name in right else "left"
        empty.add_column(name, justify=side, no_wrap=name != give_way, overflow="ellipsis")
    return empty
