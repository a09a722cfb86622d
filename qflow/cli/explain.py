"""`qflow functions explain`: why an event starts a function, or does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.cli.payload import read_object
from qflow.config import Settings
from qflow.errors import UsageError

if TYPE_CHECKING:
    from qflow.core.explain import Explanation

_MARKS: Final = {"matched": ("✓", "green"), "error": ("!", "red")}
_NO_MARK: Final = ("✗", "yellow")
_EXAMPLE: Final = """--event '{"name": "user/created", "data": {}}' or --event-id ID"""


@click.command("explain")
@click.argument("function")
@click.option(
    "--event",
    "given",
    metavar="JSON|FILE|-",
    help="An event: JSON with name and data, a file of it, or - for standard input.",
)
@click.option("--event-id", default="", help="An event that was sent: its id or its entry.")
@as_json
@with_settings(*CONNECTION)
def command(
    settings: Settings, function: str, given: str | None, event_id: str, as_json: bool
) -> None:
    """Say which triggers of FUNCTION match an event, and why the others do not."""
    if (given is None) is not bool(event_id):
        raise UsageError(f"give one event: {_EXAMPLE}")
    from qflow.core.explain import explain
    from qflow.read import events, functions, runs

    redis, keys = connect(settings)
    view = functions.function(redis, keys, function)
    if not view.spec:
        raise UsageError(f"function {function!r} is not published any more; start its worker")
    if given is None:
        row = events.find(redis, keys.events, event_id)
        event, at_ms = _event(row.as_event(), row.at), row.at
    else:
        inline = given == "-" or given.lstrip().startswith("{")
        at_ms = runs.now_ms(redis)
        event = _event(read_object(given if inline else f"@{given}", "--event"), at_ms)
    explained = explain(view.spec, event, at_ms)
    if as_json:
        display.print_json(explained.as_dict())
    else:
        _print(explained)


def _event(raw: dict[str, Any], at_ms: int) -> dict[str, Any]:
    """Return an event as conditions see it; raise UsageError where it is none."""
    from qflow.core.event import as_mapping, check_name

    check_name(raw.get("name"))
    data = raw.get("data")
    if not isinstance(data, dict | None):
        raise UsageError(f"the event's data must be a JSON object, not {json.dumps(data)[:40]}")
    kept = {field: raw[field] for field in ("name", "id", "ts", "v") if raw.get(field)}
    return as_mapping(json.dumps({"id": "", "ts": at_ms, **kept, "data": data or {}}))


def _print(explained: Explanation) -> None:
    from rich.text import Text

    console = display.console()
    starts = explained.starts
    title = Text(display.one_line(explained.event))
    title.append(" starts " if starts else " does not start ", "green" if starts else "yellow")
    console.print(title.append(explained.function))
    for verdict in explained.verdicts:
        mark, colour = _MARKS.get(verdict.outcome, _NO_MARK)
        line = Text(no_wrap=True, overflow="ellipsis").append(f"{mark} ", colour)
        console.print(line.append(display.one_line(verdict.shown)))
        reason = Text("  ", no_wrap=True, overflow="ellipsis")
        console.print(reason.append(display.one_line(verdict.reason), "dim"))
