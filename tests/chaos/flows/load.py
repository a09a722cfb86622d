"""What the chaos tests run: functions whose every execution leaves a record of its own in Redis."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import time

import qflow
from qflow import (
    Batch,
    CancelOn,
    Concurrency,
    Debounce,
    Event,
    RateLimit,
    Run,
    Singleton,
    Step,
    SyncStep,
    Throttle,
    Timeouts,
)
from qflow.store.redis import Redis

app = qflow.App("chaos")
FAST = qflow.Backoff(base="20ms", factor=1, max="20ms", jitter=False)
faulthandler.register(signal.SIGUSR1)  # a test that waits in vain shows what threads do
_effects = Redis(os.environ["CHAOS_EFFECTS"], 60.0)


def note(run: str, step: str, seen: list[str]) -> str:
    """Record one execution of a step and what it knew; return the mark of this execution.

    A set, so that a record whose reply was lost counts once.
    """
    mark = os.urandom(6).hex()
    _effects.call("SADD", f"effects:{run}", json.dumps([step, mark, seen, os.getpid()]))
    return mark


def work(run: str, step: str, seen: list[str], seconds: float) -> str:
    time.sleep(seconds)
    return note(run, step, seen)


async def awork(run: str, step: str, seen: list[str], seconds: float) -> str:
    import asyncio

    await asyncio.sleep(seconds)
    return note(run, step, seen)


def fail_first(run: str, step: str, seen: list[str], seconds: float) -> str:
    _effects.call("SADD", f"tries:{run}:{step}", os.urandom(6))
    if _effects.call("SCARD", f"tries:{run}:{step}") == 1:
        raise ConnectionError("the first try fails")
    return work(run, step, seen, seconds)


@app.function("flow", trigger="load/flow", retries=2, backoff=FAST)
def flow(event: Event, step: SyncStep, run: Run) -> list[str]:
    seen: list[str] = []
    for n in range(event.data.get("steps", 5)):
        seconds = event.data.get("seconds", 0.002)
        seen.append(step.run(f"s{n}", work, run.id, f"s{n}", list(seen), seconds))
    return seen


@app.function("aflow", trigger="load/aflow", retries=2, backoff=FAST)
async def aflow(event: Event, step: Step, run: Run) -> list[str]:
    seen: list[str] = []
    for n in range(event.data.get("steps", 5)):
        seconds = event.data.get("seconds", 0.002)
        seen.append(await step.run(f"s{n}", awork, run.id, f"s{n}", list(seen), seconds))
    return seen


@app.function("mixed", trigger="load/mixed", retries=2, backoff=FAST)
def mixed(event: Event, step: SyncStep, run: Run) -> list[str]:
    seen: list[str] = []
    for n in range(event.data.get("steps", 5)):
        fn = fail_first if n == 1 else work
        seconds = event.data.get("seconds", 0.002)
        seen.append(step.run(f"s{n}", fn, run.id, f"s{n}", list(seen), seconds))
        if n == 2:
            step.sleep("pause", event.data.get("sleep", 0.03))
    return seen


def hold(run: str, step: str, seen: list[str], seconds: float) -> str:
    _effects.call("SADD", f"inside:{run}", os.getpid())
    return work(run, step, seen, seconds)


async def ahold(run: str, step: str, seen: list[str], seconds: float) -> str:
    _effects.call("SADD", f"inside:{run}", os.getpid())
    return await awork(run, step, seen, seconds)


@app.function("hold", trigger="load/hold", retries=0)
def held(event: Event, step: SyncStep, run: Run) -> list[str]:
    first = step.run("s0", hold, run.id, "s0", [], event.data["seconds"])
    return [first, step.run("s1", work, run.id, "s1", [first], 0.001)]


@app.function("ahold", trigger="load/ahold", retries=0)
async def aheld(event: Event, step: Step, run: Run) -> list[str]:
    first = await step.run("s0", ahold, run.id, "s0", [], event.data["seconds"])
    return [first, await step.run("s1", awork, run.id, "s1", [first], 0.001)]


@app.function(
    "dropped",
    trigger="load/dropped",
    cancel_on=CancelOn("load/drop", match="data.n"),
    timeouts=Timeouts(start="60s", finish="5s"),
)
def dropped(event: Event, step: SyncStep, run: Run) -> list[str]:
    first = step.run("s0", work, run.id, "s0", [], 0.002)
    step.sleep("pause", event.data["sleep"])
    return [first, step.run("s1", work, run.id, "s1", [first], 0.001)]


@app.function("clock", trigger="load/clock")
def clock(step: SyncStep) -> float:
    return step.run("read", time.time)


@app.function("poison", trigger="load/poison", retries=1, backoff=FAST)
def poison(event: Event, step: SyncStep, run: Run) -> str:
    step.run("s0", work, run.id, "s0", [], 0.001)
    try:
        step.run("kill", kill, run.id)
    except qflow.StepError as error:
        name = error.name
        return step.run("caught", lambda: name)
    return "survived"


def kill(run: str) -> None:
    note(run, "kill", [])
    os.kill(os.getpid(), signal.SIGKILL)


@app.function("deadly", trigger="load/deadly", retries=1, backoff=FAST)
def deadly(event: Event, run: Run) -> None:
    kill(run.id)


def inside(run: str, step: str, tenant: str, seconds: float, every: str = "all") -> str:
    """Count who executes at once, in each tenant and in all, and keep the most there ever were."""
    mark = os.urandom(6).hex()
    for who in (tenant, every):
        # a process that is killed never leaves; its entry counts for as long as its lease may last
        now = time.time()
        _effects.call("ZREMRANGEBYSCORE", f"gauge:{who}", "-inf", now)
        _effects.call("ZADD", f"gauge:{who}", now + seconds + 0.5, f"{mark}:{os.getpid()}")
        pids = {raw.decode() for raw in _effects.call("ZRANGE", f"gauge:{who}", 0, -1)}
        living = [name for name in pids if os.path.exists(f"/proc/{name.partition(':')[2]}")]
        _effects.call("ZADD", f"most:{who}", "GT", len(living), "most")
    time.sleep(seconds)
    for who in (tenant, every):
        _effects.call("ZREM", f"gauge:{who}", f"{mark}:{os.getpid()}")
    return note(run, step, [])


@app.function(
    "limited",
    trigger="load/limited",
    retries=3,
    backoff=FAST,
    concurrency=[Concurrency(5), Concurrency(2, key="event.data.tenant")],
)
def limited(event: Event, step: SyncStep, run: Run) -> None:
    for n in range(3):
        step.run(f"s{n}", inside, run.id, f"s{n}", event.data["tenant"], 0.005)
    step.sleep("pause", 0.02)
    step.run("s3", inside, run.id, "s3", event.data["tenant"], 0.005)


@app.function(
    "whole", trigger="load/whole", concurrency=Concurrency(3, per="run"), retries=3, backoff=FAST
)
def whole(event: Event, step: SyncStep, run: Run) -> None:
    step.run("s0", work, run.id, "s0", [], 0.002)
    step.sleep("pause", 0.01)
    step.run("s1", work, run.id, "s1", [], 0.002)


@app.function("gathered", trigger="load/gathered", batch=Batch(7, "300ms", key="event.data.tenant"))
def gathered(events: list[Event], step: SyncStep, run: Run) -> list[int]:
    step.run("s0", work, run.id, "s0", [], 0.002)
    return [event.data["n"] for event in events]


@app.function(
    "calmed",
    trigger="load/calmed",
    debounce=Debounce("100ms", key="event.data.tenant", timeout="400ms"),
)
def calmed(event: Event, step: SyncStep, run: Run) -> int:
    step.run("s0", work, run.id, "s0", [], 0.002)
    return int(event.data["n"])


@app.function("single", trigger="load/single", singleton=Singleton(key="event.data.tenant"))
def single(event: Event, step: SyncStep, run: Run) -> None:
    step.run("s0", inside, run.id, "s0", f"single-{event.data['tenant']}", 0.01, "single")


@app.function("paced", trigger="load/paced", throttle=Throttle(20, "1s", key="event.data.tenant"))
def paced(step: SyncStep, run: Run) -> None:
    step.run("s0", work, run.id, "s0", [], 0.002)


@app.function("rated", trigger="load/rated", rate_limit=RateLimit(3, "1s", key="event.data.tenant"))
def rated(step: SyncStep, run: Run) -> None:
    step.run("s0", work, run.id, "s0", [], 0.002)
