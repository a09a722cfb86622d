"""A return annotation turns plain values into what it promises, and leaves right ones alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from inspect import Parameter
from typing import Annotated, Any, Literal, Optional, Protocol, TypedDict

import pytest
from pydantic import BaseModel, Field

from qflow.core.codec import revive
from qflow.errors import CodecError


class User(BaseModel):
    full_name: str = Field(alias="fullName")
    age: int = 0


@dataclass
class Point:
    x: int
    y: int = 0


class Color(Enum):
    RED = "red"


class Row(TypedDict):
    id: int


class Closable(Protocol):
    def close(self) -> None: ...


class Opaque:
    pass


user = User(fullName="Jane")
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "annotation", "revived"),
    [
        ({"fullName": "Jane"}, User, user),
        ({"full_name": "Jane"}, User, user),
        ([{"fullName": "Jane"}], list[User], [user]),
        ([{"fullName": "Jane"}, user], list[User], [user, user]),
        ({"a": {"x": 1}}, dict[str, Point], {"a": Point(1)}),
        ({"x": 1}, Optional[Point], Point(1)),  # noqa: UP045
        ({"x": 1}, Point | None, Point(1)),
        ("red", Color, Color.RED),
        ("2024-01-01T12:00:00Z", datetime, NOON),
        ([1, "red"], tuple[int, Color], (1, Color.RED)),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, 2], set[int], {1, 2}),
        ("5", Annotated[int, Field(gt=1)], 5),
        ("5", Annotated[int, Field(gt=1, json_schema_extra={"a": []})], 5),
    ],
)
def test_plain_values_become_what_is_promised(value: Any, annotation: Any, revived: Any) -> None:
    result = revive(value, annotation)
    assert result == revived
    assert type(result) is type(revived)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (user, User),
        ([user], list[User]),
        ([user], Sequence[BaseModel]),
        ({"a": Point(1)}, Mapping[str, Point]),
        ((1, Color.RED), tuple[int, Color]),
        ((1, 2), tuple[int, ...]),
        ((), tuple[()]),
        (3, float),
        (True, int),
        ({"id": 1, "name": "kept"}, Row),
        ([{"id": 1, "name": "kept"}], list[Row]),
        ("a", Literal["a", "b"]),
        (None, User | None),
        ("red", Color | str),
        ({"x": 1}, dict),
        ([1, "a"], list[Any]),
        (1, object),
        ("x", None),
        ("x", Any),
        ("x", "User"),
        ("x", Parameter.empty),
        ("x", Opaque),
        ([1], list["Undefined"]),  # type: ignore[name-defined]  # noqa: F821
        ({"x": 1}, Closable),
    ],
)
def test_right_values_and_silent_annotations_change_nothing(value: Any, annotation: Any) -> None:
    assert revive(value, annotation) is value


@pytest.mark.parametrize(
    ("value", "annotation", "parts"),
    [
        ("green", Color, ("str 'green'", "Color", "red")),
        ([{"age": 1}], list[User], ("list [{'age': 1}]", "list[", "User]", "fullName")),
        ("c", Literal["a"], ("str 'c'", "Literal['a']")),
        pytest.param(10**6000, Color, ("int", "Color"), id="huge"),
    ],
)
def test_a_misfit_names_value_and_annotation(value: Any, annotation: Any, parts: Any) -> None:
    with pytest.raises(CodecError) as caught:
        revive(value, annotation)
    message = str(caught.value)
    assert "\n" not in message
    assert "does not fit the annotation" in message
    assert all(part in message for part in parts), message
    assert message.endswith("; change the annotation or what is returned")
