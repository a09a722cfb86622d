"""Prints a run as a tree: its facts, its steps with their attempts, what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from qflow.cli import display
from qflow.read.said import SaidLine
from qflow.read.timeline import Attempt, StepView, Timeline

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

_MARKS = {
    "completed": "✓",
    "failed": "✗",
    "running": "▸",
    "queued": "·",
    "waiting": "↻",
    "sleeping": "☾",
}


_LEVELS = {"info": "", "warning": "yellow", "error": "red", "critical": "red"}


def print_story(told: Timeline) -> None:
    """Print a run."""
    console = display.console()
    for fact in _facts(told):
        console.print(fact)
    console.print(_tree(told))
    if told.error:
        console.print(display.cell(display.error_line(told.error), "red"))
        for row in str(told.error.get("traceback", "")).rstrip().splitlines():
            console.print(f"  {display.safe(row)}", style="dim", markup=False, soft_wrap=True)
    elif told.row.status == "completed":
        console.print(
            f"output  {json.dumps(told.output, ensure_ascii=True)}", markup=False, soft_wrap=True
        )


def print_lines(said: Sequence[SaidLine]) -> None:
    """Print what steps printed and logged."""
    console = display.console()
    if not said:
        console.print("its steps said nothing", style="dim")
    for line in said:
        text = display.cell(display.moment(line.at, day=False), "dim")
        text.append(f"  {line.level:<8}", _LEVELS.get(line.level, "dim"))
        text.append(f"  {display.one_line(line.step, 40)}", "bold")
        text.append(f" #{line.attempt}  " if line.attempt else "  ", "dim")
        text.append(display.safe(line.text))
        console.print(text, soft_wrap=True)


def _facts(told: Timeline) -> Iterator[Text]:
    row, event = told.row, told.event
    yield display.fact("run", display.cell(row.id, "bold"))
    yield display.fact("function", row.function)
    yield display.fact("status", _standing(told))
    yield display.fact("event", f"{event['name']} {event['id']}")
    yield display.fact("data", display.compact(event.get("data"), 200))
    if told.parent:
        yield display.fact("invoked by", f"run {told.parent}")
    yield display.fact("created", display.moment(row.created))
    if told.origin:
        yield display.fact("made from", told.origin)
    if told.again:
        yield display.fact("again as", told.again)
    if row.started is not None:
        yield display.fact("started", f"{display.moment(row.started)} {_queue(told)}")
    if row.ended is not None:
        took = display.length(row.duration_ms)
        yield display.fact("ended", display.moment(row.ended) + (f" after {took}" if took else ""))


def _standing(told: Timeline) -> Text:
    text = display.status(told.row.status)
    if told.worker:
        text.append(f"  by {told.worker}", "dim")
    if told.due is not None and told.row.status == "waiting":
        text.append(f"  until {display.moment(told.due)}", "dim")
    if told.reason:
        text.append(f"  {display.one_line(told.reason, 200)}", "dim")
    return text


def _queue(told: Timeline) -> str:
    if not told.claims:
        return ""
    first = display.length(told.claims[0].wait_ms)
    more = f", taken {len(told.claims)} times" if len(told.claims) > 1 else ""
    return f"after {first} in the queue{more}"


def _tree(told: Timeline) -> Tree:
    from rich.tree import Tree

    tree = Tree("steps" if told.steps else "no steps yet" if told.row.ended is None else "no steps")
    for attempt in told.handler:
        tree.add(_attempt(attempt, "handler "))
    for step in told.steps:
        branch = tree.add(_step(step, told.now))
        if any(attempt.outcome not in ("ok", "running") for attempt in step.attempts):
            for attempt in step.attempts:
                branch.add(_attempt(attempt))
    return tree


def _step(step: StepView, now_ms: int) -> Text:
    style = display.STYLES.get(step.status, "")
    text = display.cell(_MARKS.get(step.status, "–"), style)
    text.append(f" {display.one_line(step.id, 60)}", "bold")
    if step.wants:
        text.append(f"  {step.kind} {display.one_line(step.wants, 60)}", "dim")
    if step.child:
        text.append(f"  {step.child}", "dim")
    last = step.attempts[-1] if step.attempts else None
    if step.status == "completed":
        took = _took(last)
        text.append(f"  {took}" if took else "")
        if step.kind != "sleep":
            text.append(f"  {display.compact(step.output, 50)}", "dim")
    else:
        text.append(f"  {step.status}", style)
        if step.status == "running" and last is not None and last.started is not None:
            text.append(f" for {display.length(max(0, now_ms - last.started))}", style)
        if step.due is not None:
            text.append(f" until {display.moment(step.due)}", style)
    return text


def _attempt(attempt: Attempt, what: str = "") -> Text:
    text = display.cell(f"{what}attempt {attempt.number}")
    text.append(f"  {attempt.outcome}", display.STYLES.get(attempt.outcome, ""))
    took = _took(attempt)
    text.append(f"  {took}" if took else "")
    if attempt.ended is not None:
        text.append(f"  {display.moment(attempt.ended, day=False)}", "dim")
    if attempt.error:
        text.append(f"  {display.error_line(attempt.error, 200)}")
    return text


def _took(attempt: Attempt | None) -> str:
    if attempt is None or attempt.started is None or attempt.ended is None:
        return ""
    return display.length(max(0, attempt.ended - attempt.started))
