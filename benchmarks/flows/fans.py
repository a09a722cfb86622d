"""Fans: one run that opens many steps at once."""

from __future__ import annotations

import asyncio

from qflow import Event, Step, SyncStep

from .chains import app


def double(n: int) -> int:
    return 2 * n


@app.function("fan", trigger="bench/fan")
async def fan(event: Event, step: Step) -> int:
    branches = (step.run("double", double, n) for n in range(event.data["branches"]))
    return sum(await asyncio.gather(*branches))


@app.function("map", trigger="bench/map")
def spread(event: Event, step: SyncStep) -> int:
    return sum(step.map("double", double, range(event.data["branches"])))
