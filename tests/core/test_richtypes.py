"""Class instances come back as themselves; a tag can name nothing but such a class."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import namedtuple
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum, IntFlag
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, NamedTuple, Self, TypeVar

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    PostgresDsn,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from qflow.core import codec
from qflow.errors import CodecError

T = TypeVar("T")
Pair = namedtuple("Pair", "left right", defaults=[0])  # noqa: PYI024 - both kinds of named tuple are tested


@dataclass
class Plain:
    name: str
    tags: list[str] = field(default_factory=list)
    size: int = field(default=0, init=False, compare=True)

    class Inner(Enum):
        ONE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    name: str
    doubled: int = 1
    hidden: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "doubled", self.doubled * 2)
        object.__setattr__(self, "hidden", 7)


@dataclass
class Seeded:
    x: int
    seed: InitVar[int] = 3

    def __post_init__(self, seed: int) -> None:
        self.x += seed


@dataclass
class Unseeded:
    x: int
    seed: InitVar[int]


@dataclass(init=False)
class OwnInit:
    x: int

    def __init__(self, text: str) -> None:
        self.x = len(text)


@dataclass
class Strings(list[str]):
    x: int = 0


@pydantic_dataclass
class Checked:
    when: datetime


class Single(NamedTuple):
    x: int


class Picky(Single):
    def __new__(cls) -> Self:
        raise AssertionError("the constructor is not called")  # pragma: no cover


class Node(BaseModel):
    model_config = ConfigDict(frozen=True)
    child: Node | None = None
    value: Any = None


class Leaf(Node):
    extra_field: int = 0


class Person(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    full_name: str = Field(alias="fullName", validation_alias="n", serialization_alias="m")
    n: int = Field(0, alias="full_name")
    secret: int = Field(1, exclude=True)
    when: datetime | None = None
    _cache: dict[Any, Any] = PrivateAttr(default_factory=dict)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.full_name.upper()

    @field_serializer("when")
    def _year(self, when: datetime | None) -> int:
        return when.year if when else 0


class Transforming(BaseModel):
    doubled: int
    total: int = 0

    @field_validator("doubled")
    @classmethod
    def _double(cls, value: int) -> int:
        return value * 2

    @model_validator(mode="after")
    def _add(self) -> Transforming:
        self.total += self.doubled
        return self


class Splitting(BaseModel):
    tags: list[str]

    @field_validator("tags", mode="before")
    @classmethod
    def _split(cls, value: str) -> list[str]:
        return value.split(",")


class Morphing(BaseModel):
    x: int = 0

    @model_validator(mode="wrap")
    @classmethod
    def _other(cls, value: Any, handler: Any) -> Any:
        return value if isinstance(value, cls) else Plain("x")


class Ids(RootModel[list[int]]):
    pass


class Page(BaseModel, Generic[T]):
    item: T


class IntPage(Page[int]):
    pass


class Links(BaseModel):
    home: HttpUrl
    db: PostgresDsn


def back(value: object) -> Any:
    return codec.decode(codec.encode(value, "it"))


def person() -> Person:
    made = Person.model_validate({"n": "Jane", "full_name": 4, "nick": {"$qflow": 1}, "secret": 9})
    made._cache[1] = (2,)
    return made


@pytest.mark.parametrize(
    "value",
    [
        Plain("a", ["b"]),
        Plain.Inner.ONE,
        Pair(1, (2,)),
        tuple.__new__(Picky, [5]),
        Checked(datetime(2024, 1, 1, tzinfo=UTC)),
        Node(child=Leaf(extra_field=3, value=(1,)), value={Plain.Inner.ONE: {1}}),
        person(),
        Ids([1, 2]),
        IntPage(item=3),
        Links(home="http://ex.com/ä?q=1", db="postgres://u@h1,h2/x"),  # type: ignore[arg-type]
        Strict(name="a", doubled=3),
        Seeded(1),
        Transforming(doubled=2),
        [Path("/a/b"), Path("c")],
    ],
)
def test_instances_come_back(value: Any) -> None:
    again = back(value)
    assert type(again) is type(value)
    assert again == value
    assert repr(again) == repr(value)
    assert codec.encode(again, "it") == codec.encode(value, "it")


def test_fields_set_and_private_attributes_survive() -> None:
    again = back(person())
    assert again.model_fields_set == person().model_fields_set
    assert again._cache == {1: (2,)}
    assert again.model_extra == {"nick": {"$qflow": 1}}
    assert type(back(Node(child=Leaf())).child) is Leaf


def test_fields_outside_init_survive() -> None:
    plain = Plain("a")
    plain.size = 5
    assert back(plain) == plain
    del plain.size
    assert back(plain).size == 0
    assert back(Strict(name="x")).hidden == 7


def test_a_pydantic_offset_comes_back_as_a_timezone() -> None:
    when = Checked("2024-01-01T00:00:00Z").when  # type: ignore[arg-type]
    assert type(when.tzinfo) is not type(UTC)
    assert back(when) == when
    assert back(when).tzinfo is UTC


def refused(value: object) -> str:
    with pytest.raises(CodecError) as caught:
        codec.encode(value, "it")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("it cannot be stored: it ")


class Fixed(tzinfo):
    def utcoffset(self, _when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, _when: datetime | None) -> None: ...

    def tzname(self, _when: datetime | None) -> None: ...


class Open(IntFlag):
    A = 1


class Free(Enum):
    A = 1

    @classmethod
    def _missing_(cls, value: object) -> Free:
        made = object.__new__(cls)
        made._name_ = "OTHER"
        made._value_ = value  # type: ignore[assignment]
        return made


class Shadowed(Enum):
    X = 1


Shadow, Shadowed = Shadowed, None  # type: ignore[assignment,misc]


def test_refusals_of_classes() -> None:
    @dataclass
    class Local:
        x: int

    name = f"{__name__}:"
    local = f"{name}test_refusals_of_classes.<locals>.Local"
    assert refused(Local(1)) == (
        f"is of class {local}, defined inside a function; move the class to module level"
    )
    assert refused(Shadow.X) == (
        f"is of class {name}Shadowed, which its module does not hold under that name; "
        "define the class at module level under its own name"
    )
    assert "parametrised class" in refused(Page[str](item=""))
    assert "class ItemPage(Page[Item])" in refused(Page[str](item=""))
    assert refused(Unseeded(1, 2)).endswith(
        "whose InitVar 'seed' is not kept; give the InitVar a default"
    )
    assert "convert it to a plain list first" in refused(Strings())
    assert refused(datetime(2024, 1, 1, tzinfo=Fixed())) == (
        f"has a time zone of type {__name__}.Fixed; "
        "use datetime.timezone or zoneinfo.ZoneInfo(key) instead"
    )
    assert refused(Free(2)) == "is a nameless member of Free; return a defined member"
    assert "SecretStr" in refused(SecretStr("x"))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (OwnInit("abc"), "OwnInit' cannot be rebuilt from its parts: TypeError: "),
        (Splitting.model_validate({"tags": "a,b"}), "AttributeError: 'list' object has no"),
        (Morphing.model_construct(x=1), "TypeError: validation made a Plain of it"),
    ],
)
def test_what_cannot_be_rebuilt_is_known_at_the_first_execution(value: Any, problem: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec.roundtrip(value, "it")
    assert problem in str(caught.value)


def tag(kind: str, name: object, **parts: object) -> str:
    return json.dumps({"$qflow": kind, "c": name, "v": {}, **parts})


ABSENT = "which is not loaded here; import it in the workers folder or annotate the step's return"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tag("dataclass", "os:system", v={"command": "false"}), f"'os:system', {ABSENT}"),
        (tag("dataclass", "subprocess:Popen", v={"args": "false"}), "which is no dataclass"),
        (tag("model", "subprocess:Popen", v={"args": "false"}), "which is no model"),
        (tag("enum", "subprocess:Popen"), "which is no enum"),
        (tag("namedtuple", "builtins:tuple"), "which is no namedtuple"),
        (tag("model", f"{__name__}:Plain", v={"name": "x"}), "which is no model"),
        (tag("dataclass", f"{__name__}:Node"), "which is no dataclass"),
        (tag("dataclass", f"{__name__}:Inner"), ABSENT),
        (tag("enum", f"{__name__}:Shadow", v="X"), ABSENT),
        (tag("dataclass", "antigravity:X"), ABSENT),
        (tag("dataclass", "this"), ABSENT),
        (tag("dataclass", ""), ABSENT),
        (tag("dataclass", ["os", "system"]), "is malformed: 'c' is not a str"),
        (tag("dataclass", f"{__name__}:Plain"), "Plain' cannot be rebuilt from its parts: Type"),
        (tag("dataclass", f"{__name__}:Plain", v=[]), "is malformed: 'v' is not a dict"),
        (tag("model", f"{__name__}:Ids", v={"root": ["x"]}), "cannot be rebuilt from its parts"),
        (tag("model", f"{__name__}:Ids", v={"root": []}, extra=[]), "'extra' is not a dict"),
        (tag("enum", f"{__name__}:Plain.Inner", v="TWO"), "KeyError: 'TWO'"),
        (tag("enum", f"{__name__}:Open", v="A"), "'v' is not a int"),
        (tag("namedtuple", f"{__name__}:Pair"), "KeyError: 'left'"),
        (tag("url", "pydantic.networks:HttpUrl", v="nonsense"), "cannot be rebuilt"),
    ],
)
def test_hostile_class_tags_are_refused_and_import_nothing(text: str, message: str) -> None:
    loaded = dict(sys.modules)
    with pytest.raises(CodecError) as caught:
        codec.decode(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert dict(sys.modules) == loaded


def test_a_lazy_module_is_not_made_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("antigravity")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lazy)
    eager = ModuleType("eager")
    eager.__getattr__ = lambda name: pytest.fail(name)  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "antigravity", lazy)
    monkeypatch.setitem(sys.modules, "eager", eager)
    for name in ("antigravity:fly", "eager:Class"):
        with pytest.raises(CodecError, match="not loaded here"):
            codec.decode(tag("dataclass", name))
    assert type(lazy) is not ModuleType


def test_removed_and_added_fields() -> None:
    gone = tag("dataclass", f"{__name__}:Plain", v={"name": "x", "gone": 1})
    assert codec.decode(gone) == Plain("x")
    assert codec.decode(tag("namedtuple", f"{__name__}:Pair", v={"left": 1, "gone": 2})) == (1, 0)
    assert codec.decode(tag("model", f"{__name__}:Transforming", v={"doubled": "2"})) == (
        Transforming(doubled=2)
    )


def test_importing_the_codec_stays_lean() -> None:
    code = (
        "import sys, types; q = types.ModuleType('qflow'); q.__path__ = [sys.argv[1]]\n"
        "sys.modules['qflow'] = q; import qflow.core.codec\n"
        "print([m for m in ('pydantic', 'redis', 'rq', 'logging', 'asyncio') if m in sys.modules])"
    )
    package = Path(codec.__file__).parents[1]
    command = [sys.executable, "-c", code, str(package)]
    assert subprocess.check_output(command, text=True) == "[]\n"
