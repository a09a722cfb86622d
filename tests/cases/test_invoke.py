"""A step runs another function and takes what it returns, or its failure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cases.world import FAST, World

from qflow import Event, Step, StepError, SyncStep


@dataclass
class Sum:
    total: int


def test_output_keeps_its_type(world: World) -> None:
    @world.app.function("add", trigger="never")
    def add(event: Event) -> Sum:
        return Sum(sum(event.data["numbers"]))

    @world.app.function("parent", trigger="go")
    def parent(step: SyncStep) -> object:
        first = step.invoke("first", add, data={"numbers": [1, 2]})
        assert isinstance(first, Sum)
        step.sleep("a", 0.01)
        second = step.invoke("second", "add", data={"numbers": [3]})
        return [first.total, second.total]

    world.worker()
    run = world.outcome("parent", "go")
    assert run.output == [3, 3]
    children = world.redis.call("ZRANGE", world.keys.runs, 0, -1)
    parents = [world.redis.call("HGET", world.keys.run(c.decode()), "parent") for c in children]
    assert sorted(map(str, parents)) == sorted(map(str, [None, run.id.encode(), run.id.encode()]))


def test_failure_time_out_and_unknown(world: World) -> None:
    @world.app.function("bad", trigger="never", retries=0)
    def bad() -> None:
        raise KeyError("gone")

    @world.app.function("slow", trigger="never")
    def slow(step: SyncStep) -> None:
        step.sleep("long", "1h")

    @world.app.function("parent", trigger="go", backoff=FAST)
    async def parent(step: Step) -> list[str]:
        told = []
        for target in (bad, slow, "nobody"):
            try:
                await step.invoke(
                    f"call {target}"[:20], target, timeout=0.1 if target is slow else None
                )
            except StepError as error:
                told.append(f"{error.name} {error.message}")
        return told

    world.worker()
    told = world.outcome("parent", "go").output
    assert told[0] == "KeyError 'gone'"
    assert told[1].startswith("StepTimeout timed out waiting for the invoked run of 'slow'")
    assert told[2].startswith("UnknownFunction no function 'nobody' is published")


def test_a_fan_out_of_children(world: World) -> None:
    @world.app.function("square", trigger="never")
    def square(event: Event, step: SyncStep) -> int:
        return step.run("square", lambda n: n * n, event.data["n"])

    @world.app.function("parent", trigger="go")
    async def parent(step: Step) -> list[int]:
        return await asyncio.gather(
            *(step.invoke("child", square, data={"n": n}) for n in range(20))
        )

    world.worker()
    assert world.outcome("parent", "go").output == [n * n for n in range(20)]


def test_events_are_sent_once(world: World) -> None:
    got = []

    @world.app.function("hear", trigger="said")
    def hear(event: Event) -> None:
        got.append(event.data["n"])

    @world.app.function("say", trigger="go")
    def say(step: SyncStep) -> object:
        one = step.send_event("one", Event("said", data={"n": 1}))
        many = step.send_event("many", [Event("said", data={"n": n}) for n in (2, 3)])
        step.sleep("a", 0.01)
        return [one, *many]

    @world.app.function("asay", trigger="go")
    async def asay(step: Step) -> object:
        return await asyncio.gather(
            step.send_event("one", Event("said", data={"n": 4})),
            step.send_event("two", [Event("said", data={"n": 5}, id="mine")]),
        )

    world.worker()
    sent = world.send("go")
    ids = world.ended(sent, "say").output
    assert len(set(ids)) == 3
    assert world.ended(sent, "asay").output[1] == ["mine"]
    world.until(lambda: len(got) == 5)
    assert sorted(got) == [1, 2, 3, 4, 5]
    assert world.redis.call("XLEN", world.keys.events) == 6
