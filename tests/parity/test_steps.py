"""Steps and their values, alike on Redis and in memory."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from parity.stages import Stage

from qflow import Step, SyncStep


class Kind(enum.Enum):
    """An enum comes back as one."""

    NEW = "new"


@dataclass
class Contact:
    """As does a dataclass."""

    name: str
    since: dt.date


def contacts() -> list[Contact]:
    return [Contact("Jane", dt.date(2020, 2, 29))]


def test_sequence_sync(stage: Stage) -> None:
    ran = []

    def note(name: str) -> str:
        ran.append(name)
        return name.upper()

    @stage.app.function("chain", trigger="go")
    def chain(event, step: SyncStep) -> list[str]:
        return [step.run(name, note, name) for name in event.data["names"]]

    run = stage.ended(stage.send("go", {"names": ["a", "b", "c"]}), "chain")
    assert (run.status, run.output) == ("completed", ["A", "B", "C"])
    assert run.told == [("a", 0, "ok"), ("b", 0, "ok"), ("c", 0, "ok")]
    assert ran == ["a", "b", "c"]


def test_sequence_async(stage: Stage) -> None:
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    @stage.app.function("chain", trigger="go")
    async def chain(step: Step) -> int:
        first = await step.run("first", double, 21)
        second = await step.run("second", lambda n: n + 1, first)
        return await step.run("third", double, second)

    run = stage.ended(stage.send("go"), "chain")
    assert run.output == 86
    assert run.told == [("first", 0, "ok"), ("second", 0, "ok"), ("third", 0, "ok")]


def test_async_steps_of_a_sync_handler(stage: Stage) -> None:
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    @stage.app.function("mixed", trigger="go")
    def mixed(step: SyncStep) -> list[int]:
        return [step.run("fn", double, 1), step.run("lambda", lambda: double(2))]

    assert stage.ended(stage.send("go"), "mixed").output == [2, 4]


def test_no_steps(stage: Stage) -> None:
    @stage.app.function("plain", trigger="go")
    def plain(event, run) -> list[Any]:
        return [event.data["n"], event.name, run.function_id, run.attempt]

    run = stage.ended(stage.send("go", {"n": 7}), "plain")
    assert (run.output, run.told) == ([7, "go", "plain", 0], [])


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC),
        Decimal("1.10"),
        UUID(int=7),
        b"\x00\xff",
        {"a"},
        ("x", (1, 2)),
        {1: "one"},
        Kind.NEW,
        [Contact("Jane", dt.date(2020, 2, 29))],
        None,
    ],
    ids=repr,
)
def test_rich_values(stage: Stage, value: Any) -> None:
    seen = []

    @stage.app.function("rich", trigger="go")
    def rich(step: SyncStep) -> Any:
        first = step.run("make", lambda: value)
        step.sleep("re-enter", 0.01)
        step.run("see", lambda: seen.append((type(first), first)))
        return first

    run = stage.ended(stage.send("go"), "rich")
    assert run.output == value and type(run.output) is type(value)
    assert seen == [(type(value), value)], "the same type on replay"


def test_values_are_revived_by_annotation(stage: Stage) -> None:
    @stage.app.function("typed", trigger="go")
    def typed(step: SyncStep) -> str:
        found = step.run("contacts", contacts)
        step.sleep("re-enter", 0.01)
        return f"{found[0].name} {found[0].since.year}"

    assert stage.ended(stage.send("go"), "typed").output == "Jane 2020"


def test_a_value_is_what_comes_out_of_the_codec(stage: Stage) -> None:
    """Not the object itself, even where nothing was replayed."""
    shared: list[int] = []

    @stage.app.function("copied", trigger="go")
    def copied(step: SyncStep) -> bool:
        return step.run("share", lambda: shared) is shared

    assert stage.ended(stage.send("go"), "copied").output is False


def test_a_value_that_cannot_be_stored(stage: Stage) -> None:
    @stage.app.function("odd", trigger="go", retries=5)
    def odd(step: SyncStep) -> None:
        step.run("open", lambda: {"handles": [object()]})

    run = stage.ended(stage.send("go"), "odd")
    assert run.failure is not None
    assert (run.failure.name, run.failure.step) == ("CodecError", "open")
    assert ".handles[0]" in run.failure.message
    assert run.told == [("open", 0, "failed")]


def test_repeated_ids_are_numbered(stage: Stage) -> None:
    @stage.app.function("loop", trigger="go")
    def loop(step: SyncStep) -> list[int]:
        return [step.run("n", lambda n: n * n, n) for n in range(3)]

    run = stage.ended(stage.send("go"), "loop")
    assert run.output == [0, 1, 4]
    assert [step for step, _, _ in run.told] == ["n", "n:1", "n:2"]


def _nested_in(step: SyncStep) -> Callable[[], Any]:
    return lambda: step.run("inner", lambda: 1)


def test_a_step_in_a_step_is_refused(stage: Stage) -> None:
    @stage.app.function("nested", trigger="go", retries=5)
    def nested(step: SyncStep) -> None:
        step.run("outer", _nested_in(step))

    @stage.app.function("anested", trigger="go", retries=5)
    async def anested(step: Step) -> None:
        async def outer() -> int:
            return await step.run("inner", lambda: 1)

        await step.run("outer", outer)

    event = stage.send("go")
    for function in ("nested", "anested"):
        run = stage.ended(event, function)
        assert run.failure is not None
        assert (run.failure.name, run.failure.step) == ("NestedStepError", "outer")
        assert "'inner' was called inside step 'outer'" in run.failure.message
        assert run.told == [("outer", 0, "failed")]


def test_gather(stage: Stage) -> None:
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    @stage.app.function("many", trigger="go")
    async def many(step: Step) -> list[int]:
        first = await asyncio.gather(*(step.run(f"n{n}", double, n) for n in range(4)))
        await step.sleep("nap", 0.01)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step.run(f"m{n}", double, n)) for n in first]
        return [task.result() for task in tasks]

    run = stage.ended(stage.send("go"), "many")
    assert run.output == [0, 4, 8, 12]
    steps = sorted(step for step, _, _ in run.told if step != "nap")
    assert steps == ["m0", "m2", "m4", "m6", "n0", "n1", "n2", "n3"]


def test_a_thousand_steps_and_no_more(stage: Stage) -> None:
    @stage.app.function("many", trigger="go")
    async def many(event, step: Step) -> int:
        return sum([await step.run("n", int, n) for n in range(event.data["n"])])

    assert stage.ended(stage.send("go", {"n": 12}), "many").output == 66
    run = stage.ended(stage.send("go", {"n": 1001}), "many")
    assert run.failure is not None and run.failure.name == "LimitError"
    assert "step 1001" in run.failure.message
    assert len(run.told) == 1000


def test_a_result_over_4_mib(stage: Stage) -> None:
    @stage.app.function("large", trigger="go", retries=5)
    def large(step: SyncStep) -> None:
        step.run("large", lambda: "x" * 4 * 1024 * 1024)

    run = stage.ended(stage.send("go"), "large")
    assert run.failure is not None
    assert (run.failure.name, run.failure.step) == ("LimitError", "large")
    assert run.told == [("large", 0, "failed")]


def test_bad_step_ids(stage: Stage) -> None:
    @stage.app.function("odd", trigger="go", retries=5)
    def odd(step: SyncStep) -> None:
        step.run("", int)

    run = stage.ended(stage.send("go"), "odd")
    assert run.failure is not None and run.failure.name == "UsageError"
    assert run.told == []
