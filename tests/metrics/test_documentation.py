"""docs/operations.md lists every metric and every log event as they are."""

from __future__ import annotations

import logging
from pathlib import Path

from qflow import logs, telemetry
from qflow.metrics import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def rows(heading: str) -> list[tuple[str, ...]]:
    """Return the body of the table whose first column is headed so."""
    lines = PAGE.read_text("utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |")) + 2
    body = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        body.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return body


def test_every_metric_stands_in_the_table() -> None:
    expected = [
        (
            f"`{metric.name}`",
            metric.kind,
            " ".join(f"`{label}`" for label in metric.labels) or "–",
            metric.scope,
            metric.help,
        )
        for metric in METRICS
    ]
    assert rows("metric") == expected


def test_every_log_event_stands_in_the_table() -> None:
    assert rows("event") == [
        (f"`{name}`", levels(name), fields or "–") for name, fields in telemetry.EVENTS.items()
    ]


def levels(name: str) -> str:
    found = []
    for key, (level, _) in logs.LINES.items():
        event, _, variant = key.partition(" ")
        if event == name:
            shown = logging.getLevelName(level).lower()
            found.append(f"{shown} ({variant})" if variant else shown)
    return ", ".join(found) or "not logged"
