"""Functions with open steps: groups, branches, waits, invocations, events sent."""

from __future__ import annotations

import asyncio

from qflow import Concurrency, Event, Run, Step, StepError, SyncStep

from .load import FAST, app, awork, inside, kill, work


@app.function("fan", trigger="load/fan", retries=2, backoff=FAST)
async def fan(event: Event, step: Step, run: Run) -> list[str]:
    seconds = event.data.get("seconds", 0.002)

    async def chain(n: int) -> str:
        first = await step.run(f"s{n}", awork, run.id, f"s{n}", [], seconds)
        await step.sleep("nap", 0.02)
        return await step.run(f"t{n}", awork, run.id, f"t{n}", [first], seconds)

    marks = await asyncio.gather(*map(chain, range(4)))
    return [*marks, await step.run("join", awork, run.id, "join", marks, seconds)]


@app.function("branches", trigger="load/branches", retries=2, backoff=FAST)
def branches(event: Event, step: SyncStep, run: Run) -> list[str]:
    seconds = event.data.get("seconds", 0.002)

    def chain(n: int) -> str:
        first = step.run(f"s{n}", work, run.id, f"s{n}", [], seconds)
        return step.run(f"t{n}", work, run.id, f"t{n}", [first], seconds)

    marks = step.parallel(*(lambda n=n: chain(n) for n in range(3)))
    more = step.map("m", lambda n: work(run.id, f"m{n}", [], seconds), range(3))
    return [*marks, *more, step.run("join", work, run.id, "join", [*marks, *more], seconds)]


@app.function("bill", trigger="load/bill", retries=2, backoff=FAST)
def bill(event: Event, step: SyncStep, run: Run) -> str:
    mark = step.run("s0", work, run.id, "s0", [], 0.002)
    step.send_event("paid", Event("load/paid", data={"order": event.data["order"], "mark": mark}))
    return mark


@app.function("order", trigger="load/order", retries=2, backoff=FAST)
def order(event: Event, step: SyncStep, run: Run) -> str:
    step.send_event("bill", Event("load/bill", data={"order": event.data["order"]}))
    paid = step.wait_for_event("paid", "load/paid", match="data.order", timeout="5m")
    assert paid is not None
    return str(paid.data["mark"])


@app.function("child", trigger="load/child", retries=2, backoff=FAST)
def child(event: Event, step: SyncStep, run: Run) -> str:
    return step.run("s0", work, run.id, "s0", [], event.data["seconds"])


@app.function("parent", trigger="load/parent", retries=2, backoff=FAST)
async def parent(event: Event, step: Step) -> list[str]:
    data = {"seconds": event.data.get("seconds", 0.002)}
    first = await step.invoke("first", child, data=data)
    return [first, *await asyncio.gather(*(step.invoke("more", child, data=data) for _ in "ab"))]


@app.function(
    "spread",
    trigger="load/spread",
    retries=3,
    backoff=FAST,
    concurrency=[Concurrency(4), Concurrency(2, key="event.data.tenant")],
)
async def spread(event: Event, step: Step, run: Run) -> None:
    who = f"spread-{event.data['tenant']}"

    async def one(name: str) -> str:
        return await step.run(name, inside, run.id, name, who, 0.005, "spread")

    await asyncio.gather(*(one(f"s{n}") for n in range(3)))
    await step.sleep("pause", 0.01)
    await one("join")


@app.function("deadfan", trigger="load/deadfan", retries=1, backoff=FAST)
async def deadfan(step: Step, run: Run) -> list[str]:
    async def deadly() -> str:
        try:
            await step.run("kill", kill, run.id)
        except StepError as error:
            return error.name
        return "survived"

    innocent = (step.run(f"s{n}", awork, run.id, f"s{n}", [], 0.01) for n in range(3))
    first, *_ = await asyncio.gather(deadly(), *innocent)
    return [first]
