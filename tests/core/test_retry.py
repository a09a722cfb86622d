"""Retries: how long the wait is, and when there is no other attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qflow.core.durations import to_ms
from qflow.core.retry import (
    DEFAULT_TABLE_MS,
    Backoff,
    GiveUp,
    Policy,
    TryAgain,
    check_retries,
    decide,
    delay_ms,
)
from qflow.errors import (
    CodecError,
    DefinitionError,
    LimitError,
    NonRetriableError,
    RetryAfterError,
    StepError,
    StepTimeout,
)

FAILURES = st.integers(1, 200)
BACKOFFS = st.builds(
    Backoff,
    base=st.integers(1, 100),
    factor=st.floats(1, 1000),
    max=st.integers(1, 10_000),
    jitter=st.booleans(),
)


@given(st.none() | BACKOFFS, FAILURES, st.text())
def test_a_delay_lies_below_its_ceiling(backoff: Backoff | None, failures: int, seed: str) -> None:
    highest = DEFAULT_TABLE_MS[-1] if backoff is None else to_ms(backoff.max, "max")
    ceiling = highest if backoff is None else backoff.ceiling_ms(failures)
    delay = delay_ms(backoff, failures, seed)
    assert 0 <= delay <= ceiling <= highest
    assert delay == delay_ms(backoff, failures, seed)


@given(BACKOFFS, FAILURES)
def test_ceilings_grow(backoff: Backoff, failures: int) -> None:
    assert backoff.ceiling_ms(failures) <= backoff.ceiling_ms(failures + 1)


def test_without_jitter_the_delay_is_the_ceiling() -> None:
    backoff = Backoff("1s", factor=3, max="10s", jitter=False)
    assert [delay_ms(backoff, n, "") for n in range(1, 5)] == [1000, 3000, 9000, 10_000]


def test_jitter_spreads_over_the_whole_range() -> None:
    delays = [delay_ms(Backoff("100s"), 1, f"run-{n}") for n in range(1000)]
    assert min(delays) < 2_000
    assert max(delays) > 98_000
    assert 47_000 < sum(delays) / len(delays) < 53_000


@pytest.mark.parametrize(
    "bad", [{"base": "soon"}, {"max": -1}, {"factor": 0.5}, {"factor": True}, {"factor": "2"}]
)
def test_bad_backoffs(bad: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=rf"Backoff\({next(iter(bad))}=\)"):
        Backoff(**bad)


@pytest.mark.parametrize("value", [-1, 21, 1.0, True, "4", None])
def test_bad_retries(value: object) -> None:
    with pytest.raises(DefinitionError, match="function 'f': retries must be"):
        check_retries(value, "function 'f'")


@pytest.mark.parametrize(("failures", "again"), [(1, True), (4, True), (5, False)])
def test_four_retries_are_five_attempts(failures: int, again: bool) -> None:
    decision = decide(ValueError(), failures, Policy(retries=4), seed="", now_ms=0)
    assert isinstance(decision, TryAgain) == again


@pytest.mark.parametrize(
    "error",
    [
        NonRetriableError(),
        StepError("E", "m", "", "s"),
        CodecError(),
        LimitError(),
        DefinitionError(),
    ],
)
def test_what_another_attempt_would_not_mend(error: Exception) -> None:
    assert decide(error, 1, Policy(), seed="", now_ms=0) == GiveUp()


@pytest.mark.parametrize("error", [StepTimeout(), OSError(), SystemExit(), KeyboardInterrupt()])
def test_what_another_attempt_may_mend(error: BaseException) -> None:
    assert isinstance(decide(error, 1, Policy(), seed="", now_ms=0), TryAgain)


@pytest.mark.parametrize(
    ("after", "delay"),
    [
        ("90s", 90_000),
        (1.5, 1500),
        (timedelta(minutes=1), 60_000),
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), 59_000),
        (datetime(1969, 1, 1, tzinfo=UTC), 0),
    ],
)
def test_retry_after_sets_the_delay(after: Any, delay: int) -> None:
    error = RetryAfterError("busy", after)
    assert decide(error, 1, Policy(), seed="", now_ms=1000) == TryAgain(delay)


def test_retry_after_counts_as_an_attempt() -> None:
    assert decide(RetryAfterError("busy", 1), 5, Policy(), seed="", now_ms=0) == GiveUp()
