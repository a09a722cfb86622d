"""Every supported value comes back equal and of the same type; everything else is refused."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from pathlib import PurePosixPath, PureWindowsPath
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from qflow.core import codec
from qflow.errors import CodecError, LimitError

WHERE = "the result of step 'fetch'"


class Color(Enum):
    RED = "r"
    BLUE = (1, 2)


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"


class Access(IntFlag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: Any
    y: Any = None


@dataclass(frozen=True)
class Box:
    content: Any
    label: str = "box"


class Model(BaseModel):
    content: Any
    count: int = 0


any_text = st.text(st.characters(exclude_categories=()), max_size=8) | st.just("$qflow")
zones = st.none() | st.timezones() | st.just(UTC)
offsets = st.builds(
    timezone, st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23))
)
hashable_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers().map(lambda number: number << 5000),
    st.floats(),
    any_text,
    st.binary(max_size=8),
    st.datetimes(timezones=zones | offsets),
    st.dates(),
    st.times(timezones=st.none() | offsets),
    st.timedeltas(),
    st.decimals(allow_nan=False) | st.just(Decimal("-0E+7")),
    st.uuids(),
    st.sampled_from([*Color, *Level, *Word, *Access, Access.READ | Access.WRITE, Access(0)]),
    any_text.map(lambda text: PurePosixPath(text.replace("\0", "")))
    | st.just(PureWindowsPath("c:/a")),
)
hashables = st.recursive(
    hashable_leaves,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.frozensets(inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Box, inner, any_text)
    ),
    max_leaves=4,
)
values = st.recursive(
    hashables | st.binary(max_size=4).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(any_text, inner, max_size=4)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashables, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Box, inner)
        | st.builds(Model, content=inner, count=st.integers())
    ),
    max_leaves=12,
)


def assert_same(a: Any, b: Any) -> None:
    """Assert equality and the same type at every level; NaN is the same as NaN."""
    assert type(a) is type(b)
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, dict):
        assert_same([*a.items()], [*b.items()])
    elif isinstance(a, (set, frozenset)):
        assert sorted(codec.encode(i, "") for i in a) == sorted(codec.encode(i, "") for i in b)
    elif isinstance(a, (Box, Model)):
        assert_same(vars(a), vars(b))
    elif isinstance(a, (datetime, time)):
        assert (a.isoformat(), a.fold, str(a.tzinfo)) == (b.isoformat(), b.fold, str(b.tzinfo))
        assert type(a.tzinfo) is type(b.tzinfo)
    else:
        assert a == b or repr(a) == repr(b)
        assert not isinstance(a, (float, Decimal)) or repr(a) == repr(b)


def back(value: object) -> Any:
    return codec.decode(codec.encode(value, WHERE))


def refused(value: object) -> str:
    with pytest.raises(CodecError) as caught:
        codec.encode(value, WHERE)
    message = str(caught.value)
    assert message.startswith(f"{WHERE} cannot be stored: ")
    assert "\n" not in message
    return message.removeprefix(f"{WHERE} cannot be stored: ")


@settings(max_examples=250, deadline=None)
@given(values)
def test_any_value_comes_back_the_same(value: object) -> None:
    text = codec.encode(value, WHERE)
    assert text.isascii()
    assert_same(value, codec.decode(text))
    assert codec.encode(codec.decode(text.encode()), WHERE) == text


@settings(max_examples=100, deadline=None)
@given(values)
def test_roundtrip_gives_the_text_and_what_replay_gives(value: object) -> None:
    text, first = codec.roundtrip(value, WHERE)
    assert text == codec.encode(value, WHERE)
    assert_same(first, codec.decode(text))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_plain_json_stays_plain(value: object) -> None:
    assert codec.encode(value, WHERE) == json.dumps(value, separators=(",", ":"))


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | any_text | st.sampled_from(["os:system", "builtins:dict"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.fixed_dictionaries(
                {"$qflow": st.sampled_from([*codec._BUILDERS]) | inner, "v": inner},
                optional={"c": inner, "zone": inner, "fold": inner, "name": inner},
            )
        ),
        max_leaves=6,
    )
)
def test_any_json_decodes_or_is_a_codec_error(hostile: object) -> None:
    loaded = set(sys.modules)
    try:
        codec.decode(json.dumps(hostile))
    except CodecError as error:
        assert "\n" not in str(error)
    assert not {name for name in set(sys.modules) - loaded if not name.startswith("tzdata")}


@pytest.mark.parametrize(
    "value",
    [
        {"$qflow": "date", "v": "2024-01-01"},
        {"$qflow": {"$qflow": "$qflow"}},
        {1: "a", "1": "b", (1, 2): {None: True}, False: 0.5},
        "\ud83d\ude00 two halves are not one \U0001f600, \0 \udc00\ud800",
        {"\ud83d\ude00": 1, "\U0001f600": 2},
        {1, 2, frozenset({3})},
        [math.inf, -math.inf, -0.0, 10**5000, -(10**700)],
        [Decimal("NaN123"), Decimal("1.10"), Decimal("-Infinity"), Decimal("1E+999999")],
        datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET")),
        datetime(2024, 1, 1, tzinfo=timezone(-timedelta(microseconds=1), "odd")),
        time(1, 2, 3, 4, fold=1, tzinfo=timezone(-timedelta(seconds=1, microseconds=5))),
        time(9, tzinfo=ZoneInfo("Asia/Tokyo")),
        [timedelta.min, timedelta.max, date.min, UUID(int=0), b"", bytearray(b"\xff")],
        (Level.LOW, Word.YES, Access.READ | Access.WRITE, Color.BLUE),
    ],
)
def test_awkward_values_come_back(value: object) -> None:
    assert_same(value, back(value))


def test_equal_sets_have_equal_text() -> None:
    assert codec.encode({"b", "a", "c"}, "") == '{"$qflow":"set","v":["a","b","c"]}'


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", "téxt"])
def test_scalars_are_not_copied(value: object) -> None:
    assert codec.roundtrip(value, WHERE)[1] is value


class Names(list[str]):
    pass


class Lazy:
    def __init__(self) -> None:
        self.self = self


@dataclass
class Broken:
    size: int = 1

    def __getattribute__(self, name: str) -> Any:
        if name == "size":
            raise RuntimeError("no size")
        return super().__getattribute__(name)


async def pause() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "it is of type object; return plain data, a dataclass or a pydantic model"),
        (Lazy(), f"it is of type {__name__}.Lazy; return plain data, a dataclass or a"),
        (Names(), f"it is of type {__name__}.Names; convert it to a plain list first"),
        (OrderedDict(a=1), "it is of type collections.OrderedDict; convert it to a plain dict"),
        ({"items": [1, {"when": 2j}]}, ".items[1].when is of type complex; return a tuple of"),
        ({"a b": deque()}, '["a b"] is of type collections.deque; return plain data'),
        ({1: print}, "[1] is of type builtin_function_or_method; return data, not code"),
        ({10**9999: print}, "[int] is of type builtin_function_or_method; return data"),
        ({"k": {object: 1}}, ".k.keys()[0] is of type type; return its name"),
        (Box((1, [ValueError()])), ".content[1][0] is of type ValueError; raise it, or return"),
        (Model(content=threading.Lock()), ".content is of type _thread.lock; return plain"),
        ({Point(1): print}, "[Point] is of type builtin_function_or_method"),
        (Point(1, iter([])), ".y is of type list_iterator; turn it into a list first"),
        ((i for i in "ab"), "it is of type generator; turn it into a list first"),
        (int, "it is of type type; return its name"),
        (json, "it is of type module; return data, not code"),
        (NoneType, "it is of type type; return its name"),
        (memoryview(b""), "it is of type memoryview; convert it with .tolist() first"),
    ],
)
def test_refusals_name_the_place_the_type_and_the_remedy(value: object, message: str) -> None:
    assert refused(value).startswith(message)


def test_a_coroutine_is_refused() -> None:
    coroutine = pause()
    assert refused([coroutine]) == "[0] is of type coroutine; await it first"
    coroutine.close()


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, Box, Point])
def test_depth_is_bounded(wrap: Any) -> None:
    value: Any = 1
    for _ in range(199):
        value = wrap(value)
    assert codec.encode(back(value), "") == codec.encode(value, "")
    for _ in range(2):
        value = wrap(value)
    assert "... goes deeper than 200 levels, or contains itself; return a flatter" in refused(value)


def test_a_cycle_is_refused() -> None:
    cycle: dict[str, Any] = {"a": []}
    cycle["a"] += [cycle, cycle]
    assert "goes deeper than 200 levels, or contains itself" in refused(cycle)
    box = Box([])
    box.content.append(box)
    assert "contains itself" in refused(box)


def test_a_nearly_full_stack_is_a_codec_error() -> None:
    value: Any = 1
    for _ in range(190):
        value = Box(value)

    def deeper(depth: int, call: Any) -> Any:
        return call() if depth == 0 else deeper(depth - 1, call)

    with pytest.raises(CodecError, match="goes deeper"):
        deeper(sys.getrecursionlimit() - 200, lambda: codec.encode(value, ""))


def test_an_error_while_reading_is_a_codec_error() -> None:
    assert refused([Broken()]) == "reading it raised RuntimeError: no size"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as JSON: Expecting value"),
        ("{", "cannot be read as JSON"),
        (b"\xff", "cannot be read as JSON: 'utf-8' codec can't decode"),
        ("[NaN]", "NaN is not JSON"),
        ("9" * 5000, "cannot be read as JSON: Exceeds the limit"),
        ("[" * 100_000, "nested too deeply"),
        ('{"$qflow":["a"]}', "unknown tag ['a']; was it written by a newer qflow?"),
        ('{"$qflow":"pickle","v":""}', "unknown tag 'pickle'"),
        ('{"$qflow":"tuple"}', "a stored tuple is malformed: 'v' is not a list"),
        ('{"$qflow":"tuple","v":"ab"}', "a stored tuple is malformed: 'v' is not a list"),
        ('{"$qflow":"set","v":[[]]}', "a stored set cannot be rebuilt from its parts: TypeError"),
        ('{"$qflow":"dict","v":[1]}', "a stored dict cannot be rebuilt from its parts"),
        ('{"$qflow":"int","v":"x"}', "a stored int cannot be rebuilt"),
        ('{"$qflow":"float","v":"1"}', "a stored float cannot be rebuilt"),
        ('{"$qflow":"datetime","v":"soon"}', "a stored datetime cannot be rebuilt"),
        ('{"$qflow":"time","v":"10:00","zone":"../../etc/passwd"}', "a stored time cannot be"),
        ('{"$qflow":"bytes","v":"*"}', "a stored bytes cannot be rebuilt"),
        ('{"$qflow":"decimal","v":"one"}', "a stored decimal cannot be rebuilt"),
        ('{"$qflow":"path","c":"Popen","v":""}', "a stored path 'Popen' cannot be rebuilt"),
    ],
)
def test_malformed_text_is_a_codec_error(text: str | bytes, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec.decode(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_size_names_size_limit_and_remedy() -> None:
    codec.check_size("x" * 10, 10, "it")
    with pytest.raises(LimitError) as caught:
        codec.check_size("x" * 5_452_596, 4 * 1024**2, WHERE)
    start = f"{WHERE} is 5.2 MiB, over the limit of 4.0 MiB; keep the bulk elsewhere"
    assert str(caught.value).startswith(start)
    with pytest.raises(LimitError, match="is 2049 bytes, over the limit of 2048 bytes"):
        codec.check_size("x" * 2049, 2048, "it")
    with pytest.raises(LimitError, match="is 12 bytes, over the limit of 4 bytes"):
        codec.check_size("é" * 6, 4, "it")
