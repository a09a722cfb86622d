"""Flow control as values: what makes no sense is refused with the reason, what does is published as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from qflow import (
    Batch,
    CancelOn,
    Concurrency,
    Debounce,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
)
from qflow.core.flow import flow_spec
from qflow.core.flow_keys import key_of, priority_ms, text_of
from qflow.errors import DefinitionError

EVENT = {"event": {"name": "go", "id": "e1", "ts": 5, "data": {"tenant": "acme", "n": 7}}}


def spec(**given: Any) -> dict[str, Any]:
    return flow_spec(given, "work", "shop", "function 'work'")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Concurrency(0), "limit must be a whole number from 1 to 1,000,000, not 0"),
        (lambda: Concurrency(1.5), "whole number"),  # type: ignore[arg-type]
        (lambda: Concurrency(1, key="event.data."), "key, column"),
        (lambda: Concurrency(1, key=7), "key must be text"),  # type: ignore[arg-type]
        (lambda: Concurrency(1, scope="all"), 'scope must be "function" or "app"'),  # type: ignore[arg-type]
        (lambda: Concurrency(1, per="day"), 'per must be "step" or "run"'),  # type: ignore[arg-type]
        (lambda: Concurrency(1, scope="app"), "needs a key"),
        (lambda: Throttle(1, per="0s"), "per must be longer than nothing and at most 7d"),
        (lambda: Throttle(1, per="8d"), "at most 7d"),
        (lambda: Throttle(1, per="1s", burst=0), "burst must be a whole number"),
        (lambda: RateLimit(100_001, per="1s"), "from 1 to 100,000"),
        (lambda: RateLimit(1, per="soon"), "is not a duration"),
        (lambda: Debounce("1m", timeout="30s"), "timeout 30s is shorter than the period 1m"),
        (lambda: Batch(1, timeout="1s"), "size must be a whole number from 2 to 1,000"),
        (lambda: Batch(2, timeout="2d"), "timeout must be longer than nothing and at most 1d"),
        (lambda: Batch(2, timeout="1s", when="nonsense"), "when, column 1"),
        (lambda: Priority(601), "priority 601 must lie between -600 and 600"),
        (lambda: Singleton(mode="queue"), 'mode must be "skip" or "cancel"'),  # type: ignore[arg-type]
    ],
)
def test_senseless_values(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem.replace("(", r"\(")):
        make()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"throttle": 5}, "throttle must be Throttle"),
        ({"concurrency": "5"}, "concurrency takes a number"),
        ({"priority": True}, "priority must be text"),
        ({"priority": "event."}, "function 'work': priority, column"),
        ({"batch": Batch(2, "1s"), "cancel_on": [CancelOn("x")]}, "both batch and cancel_on"),
        ({"batch": Batch(2, "1s"), "rate_limit": RateLimit(1, "1s")}, "use throttle"),
    ],
)
def test_senseless_combinations(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        spec(**given)


def test_what_is_published() -> None:
    assert spec() == {}
    found = spec(
        concurrency=[Concurrency(2, key="event.data.tenant"), 9],
        throttle=Throttle(1, per=90, burst=2),
        debounce=Debounce(timedelta(minutes=5), timeout="1h"),
        priority=30,
    )
    assert found == {
        "concurrency": [
            {"id": "fn:work:0", "limit": 9, "key": None, "scope": "function", "per": "step"},
            {
                "id": "fn:work:1", "limit": 2, "key": "event.data.tenant", "scope": "function",
                "per": "step",
            },
        ],
        "throttle": {"limit": 1, "per": "1m30s", "burst": 2, "key": None},
        "debounce": {"period": "5m", "key": None, "timeout": "1h"},
        "priority": 30,
    }  # fmt: skip


def test_an_app_wide_limit_is_known_by_its_key() -> None:
    limit = Concurrency(1, key="event.data.tenant", scope="app")
    one, other = (
        flow_spec({"concurrency": limit}, name, "shop", "")["concurrency"] for name in "ab"
    )
    assert one == other
    assert one[0]["id"].startswith("app:shop:")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None), (False, None), ("", None), (True, "true"), (7, "7"), (7.0, "7"),
        ("acme-1", "acme-1"), ("*", "#"), ("a,b", "#"), ("a=b", "#"), ("x" * 65, "#"), ([1], "#"),
        (1.5, "#"),
    ],
)  # fmt: skip
def test_texts_of_keys(value: object, text: str | None) -> None:
    found = text_of(value)
    assert found == text or (text == "#" and found is not None and found.startswith("#"))


def test_keys_and_priorities_of_an_event() -> None:
    assert key_of(None, EVENT, 0) == "*"
    assert key_of("event.data.tenant", EVENT, 0) == "acme"
    assert key_of("event.data.missing", EVENT, 0) is None
    assert key_of("b64decode(event.data.n)", EVENT, 0) is None
    assert priority_ms("event.data.n > 5 ? 60 : 0", EVENT, 0) == 60_000
    assert priority_ms("event.data.n * 1000", EVENT, 0) == 600_000
    assert priority_ms("0 - event.data.n * 1000", EVENT, 0) == -600_000
    assert priority_ms("event.data.tenant", EVENT, 0) == 0
    assert priority_ms(-5, EVENT, 0) == -5_000
    assert priority_ms(None, EVENT, 0) == 0
