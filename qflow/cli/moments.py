"""Moments on the command line: how long ago, or a date and time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from qflow.core.durations import to_ms
from qflow.errors import UsageError


class Moment(click.ParamType[int]):
    """`2h` (ago), or a date and time in ISO form, by local time where it names no zone.

    Gives ms since the epoch, or minus the ms since that moment, which only Redis's clock can place.
    """

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a moment."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        try:
            return -to_ms(text, "time")
        except UsageError:
            pass
        try:
            return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
        except ValueError:
            remedy = "write how long ago, such as 2h or 7d, or a date such as 2026-03-01T12:00"
            self.fail(f"{text!r} is no time: {remedy}", param, ctx)


def absolute(moment: int | None, now_ms: int) -> int | None:
    """Return a moment in ms since the epoch, by Redis's clock."""
    return moment if moment is None or moment > 0 else now_ms + moment
