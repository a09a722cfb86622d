"""Events: what is accepted, what is refused with which words, and the form that runs keep."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qflow.core.event import MAX_EVENT_BYTES, Event, check_sendable, encode_data, from_text, to_text
from qflow.errors import CodecError, EventError, LimitError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@dataclass
class Order:
    number: int


def test_what_is_left_out_is_empty() -> None:
    event = Event("user/created")
    assert (event.data, event.id, event.ts, event.v) == ({}, "", 0, "")


def test_an_event_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        Event("a").name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "an event needs a name"),
        (None, "an event needs a name"),
        (7, "an event needs a name"),
        ("n" * 256, "256 characters, over 255"),
        ("a\nb", "cannot be printed"),
        ("a\x00", "cannot be printed"),
    ],
)
def test_bad_names(name: Any, words: str) -> None:
    with pytest.raises(EventError, match=words):
        Event(name)


@pytest.mark.parametrize(
    "bad", [{"id": "i" * 256}, {"id": 7}, {"ts": -1}, {"ts": True}, {"ts": 1.5}]
)
def test_bad_ids_and_times(bad: dict[str, Any]) -> None:
    with pytest.raises(EventError, match=f"event 'a': {next(iter(bad))} must be"):
        Event("a", **bad)


def test_reserved_names_are_not_sendable() -> None:
    with pytest.raises(EventError, match="'qflow/cron' is reserved"):
        check_sendable(Event("qflow/cron"))


@pytest.mark.parametrize("data", [[1], "text", 7, Order(1)])
def test_data_must_be_a_mapping(data: object) -> None:
    with pytest.raises(EventError, match="data must be a mapping"):
        encode_data(Event("a", data))


def test_any_mapping_will_do() -> None:
    assert encode_data(Event("a", MappingProxyType({"x": 1}))) == '{"x":1}'


def test_instances_of_classes_are_refused_with_the_remedy() -> None:
    with pytest.raises(EventError, match=r"\(dataclass\).*send its fields"):
        encode_data(Event("a", {"order": Order(1)}))


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(CodecError, match="the data of event 'a'"):
        encode_data(Event("a", {"x": object()}))


def test_the_limit_is_on_the_encoded_size() -> None:
    room = MAX_EVENT_BYTES - len('{"x":""}')
    assert len(encode_data(Event("a", {"x": "x" * room}))) == MAX_EVENT_BYTES
    with pytest.raises(LimitError, match="the data of event 'a' is 524289 bytes, over the limit"):
        encode_data(Event("a", {"x": "x" * (room + 1)}))


@given(st.dictionaries(st.text(), JSON), st.text("abc/.", min_size=1), st.text("xyz"))
def test_plain_data_comes_back(data: dict[str, Any], name: str, version: str) -> None:
    sent = Event(name, data, "id", 7, version)
    text = to_text(sent.id, sent.name, sent.ts, sent.v, encode_data(sent))
    assert json.loads(text)["data"] == data
    assert from_text(text) == sent


def test_rich_values_come_back() -> None:
    data = {"at": datetime(2025, 1, 2, tzinfo=UTC), "price": [Decimal("1.10")]}
    text = to_text("id", "a", 1, "", encode_data(Event("a", data)))
    assert from_text(text).data == data


def test_a_stranger_s_tag_is_data() -> None:
    text = to_text("id", "a", 1, "", '{"x":{"$qflow":"enum","c":"os:sep"}}')
    assert from_text(text).data == {"x": {"$qflow": "enum", "c": "os:sep"}}


def test_an_id_that_cannot_be_sent() -> None:
    with pytest.raises(EventError, match="id must be Unicode text"):
        Event("a", id="\ud800")
    assert Event("a", id="größe-\U0001f600").id


def test_a_version_that_cannot_be_sent() -> None:
    with pytest.raises(EventError, match="event 'a': v must be Unicode text, not '\\\\ud800'"):
        Event("a", v="\ud800")
