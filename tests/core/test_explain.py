"""Why an event starts a function or does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qflow.core import expression
from qflow.core.cron import Cron
from qflow.core.explain import deciding, explain

DATA = {"plan": "free", "amount": 50, "tags": ["a"], "at": "2024-01-01", "n": 0}
EVENT = {"name": "user/created", "id": "e1", "ts": 7, "data": DATA}


@pytest.mark.parametrize(
    ("source", "told"),
    {
        "event.data.plan == 'pro'": ['event.data.plan is "free"'],
        "event.data.plan == 'pro' && event.data.amount > 100": ['event.data.plan is "free"'],
        "event.data.plan == 'free' && event.data.amount > 100": ["event.data.amount is 50"],
        "event.data.plan == 'free' && event.data.amount > 10": [
            'event.data.plan is "free"',
            "event.data.amount is 50",
        ],
        "event.data.plan == 'pro' || event.data.n": [
            'event.data.plan is "free"',
            "event.data.n is 0",
        ],
        "event.data.plan == 'free' || event.data.n": ['event.data.plan is "free"'],
        "!(event.data.amount > 10 && event.data.plan == 'pro')": ['event.data.plan is "free"'],
        "event.data.n ? event.data.plan == 'pro' : event.data.x": [
            "event.data.n is 0",
            "event.data.x is null",
        ],
        "has(event.data.x)": ["has(event.data.x) is false"],
        "event.data.plan": ['event.data.plan is "free"'],
        "size(event.data.tags) > 1": ["size(event.data.tags) is 1"],
        "event.data.plan.startsWith('p')": ['event.data.plan is "free"'],
        "event.data.amount + event.data.n > 60": ["event.data.amount is 50", "event.data.n is 0"],
        "'b' in event.data.tags": ['event.data.tags is ["a"]'],
        "event.data.tags.exists(t, t == 'b')": ['event.data.tags is ["a"]'],
        "event.data.amount > event.data.amount": ["event.data.amount is 50"],
        "date(event.data.at) > date('2025-01-01')": ["date(event.data.at) is 2024-01-01T00:00:00Z"],
        "event.ts > now()": ["event.ts is 7", "now() is 1970-01-01T00:00:00.060000Z"],
        "size(event.data.amount) > 1": ["event.data.amount is 50"],
        "1 == 2": [],
    }.items(),
)
def test_the_values_that_decided(source: str, told: list[str]) -> None:
    facts = deciding(expression.compile(source), {"event": EVENT}, 60)
    assert [str(fact) for fact in facts] == told


def test_large_values_decide_too() -> None:
    event = {**EVENT, "data": {"list": ["long"] * 50_000, "n": 0}}
    source = "event.data.list && event.data.list.all(x, x == 'short') || event.data.n"
    facts = deciding(expression.compile(source), {"event": event}, 60)
    assert [fact.source for fact in facts] == ["event.data.list", "event.data.n"]
    assert [len(str(fact)) < 120 for fact in facts] == [True, True]


def test_every_trigger_has_its_verdict() -> None:
    spec = {
        "id": "f",
        "triggers": [
            {"event": "user/deleted", "when": "event.data.plan == 'free'"},
            {"event": "user/*", "when": "event.data.plan == 'pro'"},
            {"event": "user/created", "when": "size(event.data.amount) > 1"},
            {"event": "user/created", "when": "event.data.("},
            {"event": "user/created", "when": "1 == 2"},
            {"event": "user/created"},
            Cron("@daily").to_spec(),
        ],
    }
    explained = explain(spec, EVENT, 60)
    assert [verdict.outcome for verdict in explained.verdicts] == [
        "other name", "condition", "error", "error", "condition", "matched", "cron",
    ]  # fmt: skip
    reasons = [verdict.reason for verdict in explained.verdicts]
    assert reasons[1] == 'event.data.plan is "free"'
    assert reasons[2] == (
        "size() needs text, a list or a map, not a number (event.data.amount is 50)"
    )
    assert "column 12" in reasons[3]
    assert reasons[4] == "the condition is never true"
    assert explained.starts
    told = json.loads(json.dumps(explained.as_dict()))
    assert (told["function"], told["event"], told["starts"]) == ("f", "user/created", True)
    assert told["triggers"][1] == {
        "event": "user/*",
        "when": "event.data.plan == 'pro'",
        "outcome": "condition",
        "matched": False,
        "facts": [{"expression": "event.data.plan", "value": "free"}],
        "error": None,
        "reason": 'event.data.plan is "free"',
    }


def test_nothing_starts_a_function_whose_triggers_do_not_match() -> None:
    spec: dict[str, Any] = {"id": "f", "triggers": [{"event": "a"}]}
    assert not explain(spec, EVENT, 60).starts
