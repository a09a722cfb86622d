"""`POST /e/<key>`: the forms it takes, its limits, and a real client that sends unchanged."""

from __future__ import annotations

import json
from typing import Any

import inngest
import pytest
from starlette.testclient import TestClient

from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.web.access import read_access
from qflow.web.intake import MAX_BYTES, MAX_EVENTS


def sent(redis: Redis, keys: Keys) -> list[dict[str, Any]]:
    found = []
    for _, flat in redis.call("XRANGE", keys.events, "-", "+"):
        texts = [part.decode() for part in flat]
        found.append(dict(zip(texts[::2], texts[1::2], strict=True)))
    return found


def post(client: TestClient, body: object, key: str = "any") -> Any:
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return client.post(f"/e/{key}", content=content)


def test_one_event_a_list_and_lines(client: TestClient, redis: Redis, keys: Keys) -> None:
    one = post(client, {"name": "a/b", "data": {"x": 1}, "id": "i1", "ts": 7, "v": "2"})
    assert one.json() == {"ids": ["i1"], "status": 200}
    many = post(client, [{"name": "c"}, {"name": "d", "data": None, "user": {"id": 1}}])
    assert len(many.json()["ids"]) == 2
    lines = post(client, '{"name": "e"}\n\n{"name": "f", "data": {"y": 2}}\n')
    assert len(lines.json()["ids"]) == 2
    entries = sent(redis, keys)
    assert [entry["name"] for entry in entries] == ["a/b", "c", "d", "e", "f"]
    assert entries[0] == {"name": "a/b", "data": '{"x":1}', "id": "i1", "ts": "7", "v": "2"}
    assert [entry["id"] for entry in entries[1:3]] == many.json()["ids"]


def test_five_thousand_at_once_and_not_one_more(
    client: TestClient, redis: Redis, keys: Keys
) -> None:
    reply = post(client, [{"name": "a", "data": {"n": n}} for n in range(MAX_EVENTS)])
    assert (reply.status_code, len(set(reply.json()["ids"]))) == (200, MAX_EVENTS)
    assert redis.call("XLEN", keys.events) == MAX_EVENTS
    for body in ([{"name": "a"}] * (MAX_EVENTS + 1), '{"name": "a"}\n' * (MAX_EVENTS + 2)):
        reply = post(client, body)
        assert reply.status_code == 413
        assert "over the limit of 5000" in reply.json()["error"]
    assert redis.call("XLEN", keys.events) == MAX_EVENTS


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("", 400, "the body is empty"),
        ("{", 400, "not JSON at line 1 column 2"),
        (b"\xff", 400, "not UTF-8 at byte 0"),
        ('{"name": "a"}\n{"name": ', 400, "line 2 is not JSON at column"),
        ('{"name": "a"}\n{"name": 7}', 400, "line 2: an event needs a name"),
        ("[" * 100_000, 400, "nested too deeply"),
        ('{"name": "a", "data": {"x": NaN}}', 400, "NaN"),
        ("7", 400, "an event is an object"),
        ([{"name": "a"}, {"data": {}}], 400, "event 1: an event needs a name"),
        ([{"name": "a"}, {"name": "qflow/x"}], 400, "event 1: event name 'qflow/x' is reserved"),
        ({"name": "a", "data": [1]}, 400, "data must be a mapping"),
        ({"name": "a", "ts": -1}, 400, "ts must be whole milliseconds"),
        ({"name": "a", "data": {"x": "y" * 600_000}}, 413, "512.0 KiB"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(
    client: TestClient, redis: Redis, keys: Keys, body: object, status: int, words: str
) -> None:
    reply = post(client, body)
    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert words in reply.json()["error"]
    assert sent(redis, keys) == []


def test_a_body_without_end_is_cut_off(client: TestClient) -> None:
    def endless() -> Any:
        for _ in range(MAX_BYTES // 2**20 + 1):
            yield b" " * 2**20

    reply = client.post("/e/k", content=endless())
    assert reply.status_code == 413


def test_event_keys(visit: Any) -> None:
    client = visit(read_access("ada:admin:0123456789abcdef", "good-key,other"))
    assert post(client, {"name": "a"}, "good-key").status_code == 200
    assert post(client, {"name": "a"}, "bad").status_code == 401
    closed = visit(read_access("ada:admin:0123456789abcdef", ""))
    assert post(closed, {"name": "a"}, "").status_code in (401, 404)
    assert post(closed, {"name": "a"}, "any").status_code == 401


def test_the_inngest_client_sends_unchanged(served: str, redis: Redis, keys: Keys) -> None:
    client = inngest.Inngest(
        app_id="shop", event_key="k", event_api_base_url=served, is_production=True
    )
    ids = client.send_sync(
        [
            inngest.Event(name="user/created", data={"name": "Jane", "when": [1, None]}),
            inngest.Event(name="user/left", data={}, id="once", ts=1_700_000_000_000),
        ]
    )
    entries = sent(redis, keys)
    assert ids == [entry["id"] for entry in entries]
    assert ids[1] == "once"
    assert json.loads(entries[0]["data"]) == {"name": "Jane", "when": [1, None]}
    assert entries[1]["ts"] == "1700000000000"
