"""What a type checker makes of code that uses qflow; `make check` reads this file, nothing runs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

import qflow
from qflow import (
    Approval,
    Backoff,
    CancelOn,
    Cron,
    Event,
    EventTrigger,
    Function,
    Run,
    Step,
    SyncStep,
    Timeouts,
)  # fmt: skip
from qflow.testing import Harness, HarnessRun, StepRecord

app = qflow.App("shop")


@dataclass
class Order:
    number: int


def total(order: Order, *, discount: float = 0.0) -> float:
    return order.number - discount


async def fetch(number: int) -> Order:
    return Order(number)


@app.function("sync", trigger="order/paid", retries=2, backoff=Backoff("1s"), timeout="30s")
def sync_handler(event: Event[Order], step: SyncStep, run: Run) -> float:
    assert_type(event.data, Order)
    assert_type(step.run("total", total, event.data, discount=1.5), float)
    assert_type(step.run("fetch", fetch, 7), Order)
    assert_type(step.options(retries=9).run("again", fetch, 7), Order)
    assert_type(step.run("inline", lambda: "text"), str)
    step.run("total", total, "no order")  # type: ignore[call-overload]  # an Order is wanted
    step.run("total", total)  # type: ignore[call-overload]  # nothing was passed
    step.sleep("wait", "1h")
    assert_type(step.wait_for_event("paid", "order/paid"), Event[dict[str, Any]] | None)
    assert_type(step.approval("refund", "Refund it?"), Approval | None)
    assert_type(step.send_event("one", Event("a")), str)
    assert_type(step.send_event("many", [Event("a")]), list[str])
    assert_type(step.map("fetch", fetch, [1, 2]), list[Order])
    assert_type(step.map("text", str, [1, 2], limit=1), list[str])
    return float(run.attempt)


async def on_failure(event: Event, step: Step, run: Run) -> None:
    await step.run("note", print, event.data["error"], run.id)


@app.function(
    "controlled",
    trigger="order/paid",
    on_failure=on_failure,
    cancel_on=[CancelOn("order/cancelled", match="data.number", timeout="7d")],
    timeouts=Timeouts(start="10m", finish="1h"),
    idempotency="event.data.number",
)
def controlled(step: SyncStep, run: Run) -> bool:
    assert_type(run.cancelled, bool)
    return assert_type(run.patched("new"), bool)


@app.function("wrong", trigger="a", cancel_on="order/cancelled")  # type: ignore[arg-type]
def wrong() -> None: ...


@app.function("async", trigger=["order/*", EventTrigger("order.paid"), Cron("0 9 * * *")])
async def async_handler(event: Event, step: Step) -> Order:
    assert_type(event.data, dict[str, Any])
    assert_type(await step.run("total", total, Order(1)), float)
    await step.sleep("wait", 5)
    assert_type(await step.map("fetch", fetch, [1, 2]), list[Order])
    assert_type(await step.send_event("many", [Event("a")]), list[str])
    await step.run("fetch", fetch, "seven")  # type: ignore[call-overload]  # a number is wanted
    return assert_type(await step.run("fetch", fetch, 7), Order)


async def send() -> None:
    event = Event("order/paid", data={"number": 7})
    assert_type(app.send(event), str)
    assert_type(app.send([event, event]), list[str])
    assert_type(await app.asend(event), str)
    assert_type(await app.asend([event]), list[str])
    assert_type(app.cancel("01JD3Z5W0PSJ9Q0R4M6D8X1B2C"), bool)
    assert_type(async_handler, Function[Any])


def in_a_test() -> None:
    with Harness(app, always_replay=True) as world:
        stub = world.stub(sync_handler, "total", raises=[OSError("down")], returns=1.0)
        [run] = world.send("order/paid", {"number": 7})
        assert_type(world, Harness)
        assert_type(run, HarnessRun)
        assert_type(run.step("total"), StepRecord)
        assert_type(run.timeline[0].at, timedelta)
        assert_type(stub.calls[0].kwargs, dict[str, Any])
