"""Functions whose runs are kept half-way in `histories/`: what resumes them must go on as it began.

Change nothing here that a run under way could notice; add functions instead, and record them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import qflow
from qflow import Event, Run, Step, StepError, SyncStep

LATER = qflow.Backoff(base="1h", factor=1, max="1h", jitter=False)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Order:
    number: int
    placed: datetime
    total: Decimal
    colour: Colour


def place(number: int) -> Order:
    return Order(number, datetime(2026, 1, 2, tzinfo=UTC), Decimal("9.90"), Colour.RED)


def refuse() -> None:
    raise ValueError("no stock")


def fails() -> None:
    raise ConnectionError("not now")


async def aplace(number: int) -> Order:
    await asyncio.sleep(0)
    return place(number)


def values(event: Event, step: SyncStep) -> list[str]:
    order = step.run("place", place, event.data["number"])
    pair = step.run("pair", lambda: (1, {2, 3}))
    step.sleep("nap", "1d")
    again = step.run("place", place, order.number + 1)
    return [repr(order), repr(pair), repr(again)]


def fallback(step: SyncStep) -> str:
    try:
        step.options(retries=0).run("reserve", refuse)
    except StepError as error:
        step.sleep("nap", "1d")
        return f"{error.name} {error.message} {error.step_id} {step.run('fallback', str, 'other')}"
    return "reserved"


async def on_the_loop(event: Event, step: Step) -> str:
    order = await step.run("place", aplace, event.data["number"])
    await step.sleep("nap", "1d")
    return repr((await step.run("again", aplace, order.number)).total)


def retried(step: SyncStep) -> str:
    step.run("first", str, "kept")
    try:
        step.options(retries=1, backoff=LATER).run("flaky", fails)
    except StepError as error:
        return error.message
    return "never"


def patched(step: SyncStep, run: Run) -> list[bool]:
    first = run.patched("new")
    step.run("a", str, "a")
    step.sleep("nap", "1d")
    return [first, run.patched("new"), run.patched("later")]


HANDLERS: dict[str, Callable[..., Any]] = {
    "values": values,
    "fallback": fallback,
    "on_the_loop": on_the_loop,
    "retried": retried,
    "patched": patched,
}


def define(app: qflow.App) -> None:
    """Define every function in an app, triggered by an event of its name."""
    for name, handler in HANDLERS.items():
        app.function(name, trigger=f"golden/{name}")(handler)
