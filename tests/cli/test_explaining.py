"""`qflow functions explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Command
from read.scenes import Scene

import qflow as package
from qflow.core.function import describe
from qflow.store import directory, script
from qflow.store.keys import Keys
from qflow.store.redis import Redis

EVENT: dict[str, Any] = {"name": "order/paid", "data": {"plan": "free", "total": 7}}


@pytest.fixture
def published(redis: Redis, keys: Keys) -> None:
    app = package.App("shop")
    triggers: list[package.EventTrigger | package.Cron] = [
        package.EventTrigger("order/paid", when="event.data.plan == 'pro'"),
        package.EventTrigger("order/*", when="size(event.data.total) > 1"),
        package.EventTrigger("order/*", when="event.data.total > 5"),
        package.EventTrigger("user/created"),
        package.Cron("@daily"),
    ]
    function = app.function("bill", trigger=triggers)(lambda: None)
    script.run(redis, directory.publish(keys, "shop:workers", [describe(function)], []))


def test_every_trigger_is_explained(published: None, qflow: Command) -> None:
    said = qflow("functions", "explain", "bill", "--event", json.dumps(EVENT))
    assert said.code == 0
    assert said.out.splitlines() == [
        "order/paid starts bill",
        "✗ order/paid when event.data.plan == 'pro'",
        '  event.data.plan is "free"',
        "! order/* when size(event.data.total) > 1",
        "  size() needs text, a list or a map, not a number (event.data.total is 7)",
        "✓ order/* when event.data.total > 5",
        "  event.data.total is 7",
        "✗ user/created",
        "  the event has another name",
        "✗ cron @daily",
        "  a schedule, which no event starts",
    ]


def test_as_json(published: None, qflow: Command) -> None:
    event = {**EVENT, "data": {}}
    told = qflow("functions", "explain", "bill", "--json", "--event", json.dumps(event)).json
    assert (told["function"], told["event"], told["starts"]) == ("bill", "order/paid", False)
    assert [trigger["outcome"] for trigger in told["triggers"]] == [
        "condition", "condition", "condition", "other name", "cron",
    ]  # fmt: skip
    assert told["triggers"][0]["facts"] == [{"expression": "event.data.plan", "value": None}]


def test_the_event_comes_from_a_file_or_standard_input(
    published: None, qflow: Command, tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    for said in (
        qflow("functions", "explain", "bill", "--event", "event.json"),
        qflow("functions", "explain", "bill", "--event", "-", stdin=json.dumps(EVENT).encode()),
    ):
        assert said.out.startswith("order/paid starts bill\n")


def test_an_event_that_was_sent(published: None, qflow: Command, redis: Redis, keys: Keys) -> None:
    data = json.dumps(EVENT["data"])
    assert qflow("send", "order/paid", "--id", "o-7", "--data", data).code == 0
    entry = redis.call("XADD", keys.events, "*", "name", "order/refunded").decode()
    said = qflow("functions", "explain", "bill", "--event-id", "o-7")
    assert said.out.startswith("order/paid starts bill\n")
    said = qflow("functions", "explain", "bill", "--event-id", entry)
    assert said.out.startswith("order/refunded does not start bill\n")
    said = qflow("functions", "explain", "bill", "--event-id", "o-8")
    assert (said.code, "no event 'o-8' among the newest 20,000" in said.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "give one event: --event "),
        (("--event", "{}", "--event-id", "x"), "give one event: --event "),
        (("--event", "{}"), "an event needs a name"),
        (("--event", '{"name": "a", "data": [1]}'), "data must be a JSON object, not [1]"),
        (("--event", "{"), "--event is not JSON at line 1 column 2"),
        (("--event", "missing.json"), "--event: cannot read 'missing.json'"),
    ],
)
def test_what_is_no_event_is_a_usage_error(
    published: None, qflow: Command, arguments: tuple[str, ...], problem: str
) -> None:
    said = qflow("functions", "explain", "bill", *arguments)
    assert (said.code, said.out, problem in said.err, len(said.err.splitlines())) == (
        2,
        "",
        True,
        1,
    )


def test_an_unknown_function_is_named_with_the_nearest(scene: Scene, qflow: Command) -> None:
    said = qflow("functions", "explain", "pai", "--event", json.dumps(EVENT))
    assert (said.code, "did you mean 'pay'?" in said.err) == (1, True)


def test_listing_and_showing_have_the_condition(published: None, qflow: Command) -> None:
    shown = qflow("functions", "show", "bill").out
    assert "order/paid when event.data.plan == 'pro'" in shown
    (told,) = qflow("functions", "list", "--json").json
    assert told["triggers"][0] == {"event": "order/paid", "when": "event.data.plan == 'pro'"}
