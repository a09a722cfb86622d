"""A step's result has the same type when it is first returned and when it is remembered."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import uuid
from dataclasses import dataclass, field

import pytest
from cases.world import World
from pydantic import BaseModel

from qflow import Step, SyncStep


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Address(BaseModel):
    street: str
    since: dt.date


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
    names: tuple[str, ...] = field(default_factory=tuple)


VALUES = {
    "none": None,
    "true": True,
    "int": 7,
    "huge": 10**400,
    "float": 0.1,
    "infinity": float("inf"),
    "text": "Grüße \U0001f600 \x00",
    "bytes": b"\x00\xff",
    "list": [1, [2]],
    "tuple": (1, ("a", None)),
    "dict": {"a": {"b": 1}},
    "odd keys": {1: "a", (2, 3): "b"},
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "datetime": dt.datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=dt.UTC),
    "naive": dt.datetime(2026, 3, 1),
    "date": dt.date(2026, 3, 1),
    "time": dt.time(12, 30),
    "delta": dt.timedelta(days=1, microseconds=3),
    "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=5),
    "enum": Colour.RED,
    "intenum": Level.HIGH,
    "model": Address(street="Long", since=dt.date(2020, 1, 1)),
    "dataclass": Point(1, 2, ("a",)),
    "nested": {
        "points": [Point(1), Point(2)],
        "who": Address(street="x", since=dt.date(2020, 1, 1)),
    },
    "path": pathlib.PurePosixPath("a/b"),
}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_type_comes_back(world: World, kind: str) -> None:
    entries: list[dict[str, object]] = []

    if kind == "sync":

        @world.app.function("rich", trigger="go")
        def rich(step: SyncStep) -> None:
            entries.append(seen := {})
            for name, value in VALUES.items():
                seen[name] = step.run(name, lambda value=value: value)
            step.sleep("re-enter", 0.01)

    else:

        @world.app.function("rich", trigger="go")
        async def rich(step: Step) -> None:
            entries.append(seen := {})
            for name, value in VALUES.items():
                seen[name] = await step.run(name, lambda value=value: value)
            await step.sleep("re-enter", 0.01)

    world.worker()
    run = world.outcome("rich", "go")
    assert run.status == "completed", run.fields.get("error")
    assert len(entries) == 2
    for entry in entries:
        for name, value in VALUES.items():
            assert entry[name] == value, name
            assert type(entry[name]) is type(value), name


def test_annotation_revives_what_a_step_returned_plainly(world: World) -> None:
    entries = []

    def fetch() -> Address:
        return {"street": "Long", "since": "2020-01-01"}  # type: ignore[return-value]

    @world.app.function("rich", trigger="go")
    def rich(step: SyncStep) -> None:
        entries.append(step.run("fetch", fetch))
        step.sleep("re-enter", 0.01)

    world.worker()
    world.outcome("rich", "go")
    assert entries == [Address(street="Long", since=dt.date(2020, 1, 1))] * 2
