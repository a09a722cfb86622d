"""The functions that are measured: steps that do nothing, one after the other."""

from __future__ import annotations

import time

import qflow
from qflow import Event, Step, SyncStep

STEPS = 10
app = qflow.App("bench")


def nothing() -> None:
    return None


async def anothing() -> None:
    return None


@app.function("chain", trigger="bench/chain")
def chain(step: SyncStep) -> None:
    for number in range(STEPS):
        step.run(f"s{number}", nothing)


@app.function("achain", trigger="bench/achain")
async def achain(step: Step) -> None:
    for number in range(STEPS):
        await step.run(f"s{number}", anothing)


@app.function("hops", trigger="bench/hops")
def hops(step: SyncStep) -> list[int]:
    return [step.run(f"s{number}", time.perf_counter_ns) for number in range(STEPS)]


async def clock() -> int:
    return time.perf_counter_ns()


@app.function("ahops", trigger="bench/ahops")
async def ahops(step: Step) -> list[int]:
    return [await step.run(f"s{number}", clock) for number in range(STEPS)]


@app.function("first", trigger="bench/first")
def first(event: Event, step: SyncStep) -> int:
    return step.run("first", time.time_ns) - int(event.data["sent"])


@app.function("narrow", trigger="bench/narrow", concurrency=1)
def narrow(step: SyncStep) -> None:
    step.run("only", nothing)
