"""Reading entries: any bytes give an event or a reason, never an error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qflow.core.event import from_text
from qflow.engine.intake import Accepted, Rejected, read_entry
from qflow.store.stream import Entry


def entry(**fields: bytes | str) -> Entry:
    raw = {name.encode(): v.encode() if isinstance(v, str) else v for name, v in fields.items()}
    return Entry("1700000000000-3", raw)


def accepted(**fields: bytes | str) -> Accepted:
    found = read_entry(entry(**fields))
    assert isinstance(found, Accepted), found
    return found


def test_all_fields() -> None:
    found = accepted(name="a/b", data='{"x": [1, "\u00e4"]}', id="e1", ts="1700000000123", v="2")
    event = from_text(found.text)
    assert (event.name, event.id, event.ts, event.v) == ("a/b", "e1", 1700000000123, "2")
    assert event.data == {"x": [1, "\u00e4"]}
    assert (found.name, found.event_id, found.entry_ms) == ("a/b", "e1", 1700000000000)


def test_what_is_left_out() -> None:
    event = from_text(accepted(name="a/b").text)
    assert (event.id, event.ts, event.v, event.data) == ("1700000000000-3", 1700000000000, "", {})


@pytest.mark.parametrize("data", ['{"a":1}', ' {"a" : 1}\n', '{"a":0,"a":1}'])
def test_json_as_it_comes(data: str) -> None:
    assert from_text(accepted(name="n", data=data).text).data == {"a": 1}


def test_a_foreign_tag_instantiates_nothing() -> None:
    data = {
        "evil": {"$qflow": "dataclass", "c": "os:system", "v": {}},
        "when": {"$qflow": "date", "v": "2026-01-02"},
    }
    event = from_text(accepted(name="n", data=json.dumps(data)).text)
    assert event.data["evil"] == data["evil"]
    assert str(event.data["when"]) == "2026-01-02"


NAMES = st.sampled_from([b"name", b"data", b"id", b"ts", b"v", b"enc", b"other"])
VALUES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"msgpack", b"json", b"{}", b"a/b", b"1700000000000", b"-1", b"[]", b"\x81\xa1a\x01"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=7))
def test_any_bytes(fields: dict[bytes, bytes]) -> None:
    found = read_entry(Entry("1700000000000-0", fields))
    if isinstance(found, Rejected):
        assert found.reason
        assert "cannot be read" not in found.reason, "a reason of our own, not a stray error"
    else:
        event = from_text(found.text)
        assert isinstance(event.data, dict)
        assert event.name == found.name


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_msgpack(data: bytes) -> None:
    found = read_entry(entry(name="n", enc="msgpack", data=data))
    if isinstance(found, Accepted):
        assert isinstance(from_text(found.text).data, dict)
