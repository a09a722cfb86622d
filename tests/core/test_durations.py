from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qflow.core.durations import from_ms, to_ms, until_ms
from qflow.errors import DefinitionError

YEAR = 366 * 86_400_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("90s", 90_000),
        ("1h30m", 5_400_000),
        ("1.5h", 5_400_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("250ms", 250),
        ("1m250ms", 60_250),
        ("2w1d1h1m1s1ms", 1_299_661_001),
        ("  1h  30m ", 5_400_000),
        ("90 s", 90_000),
        ("0s", 0),
        ("-0s", 0),
        ("366d", YEAR),
        (90, 90_000),
        (1.5, 1_500),
        (0, 0),
        (timedelta(hours=1, microseconds=1_000), 3_600_001),
    ],
)
def test_reads(value: Any, expected: int) -> None:
    assert to_ms(value, "timeout") == expected


@pytest.mark.parametrize("value", [1e-9, "0.01ms", timedelta(microseconds=1)])
def test_a_length_above_zero_never_becomes_zero(value: Any) -> None:
    assert to_ms(value, "timeout") == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, "-1 is negative"),
        ("-5s", "'-5s' is negative"),
        (timedelta(seconds=-1), "is negative"),
        (float("-inf"), "-inf is negative"),
        (float("nan"), "nan is not a duration"),
        (float("inf"), "inf is longer than 366 days"),
        ("367d", "'367d' is longer than 366 days"),
        (366 * 86_400 + 1, "is longer than 366 days"),
        pytest.param(10**5_000, "that number is longer than 366 days", id="huge number"),
        pytest.param("9" * 5_000 + "s", "is longer than 366 days", id="huge text"),
        (True, "True is not a duration"),
        (None, "None is not a duration"),
        (b"90s", "is not a duration"),
        ("", "'' is not a duration"),
        ("-", "'-' is not a duration"),
        ("90", "'90' is not a duration"),
        ("s", "'s' is not a duration"),
        ("5M", "'5M' is not a duration"),
        ("5 minutes", "is not a duration"),
        ("30m1h", "'30m1h' is not a duration"),
        ("1h1h", "'1h1h' is not a duration"),
        ("1e3s", "is not a duration"),
        ("٣s", "is not a duration"),
        ("1s\n2", "is not a duration"),
    ],
)
def test_refuses_in_one_line(value: Any, reason: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        to_ms(value, "timeout of function 'pay'")
    message = str(caught.value)
    assert message.startswith("timeout of function 'pay': ")
    assert reason in message
    assert '"1h30m"' in message
    assert "\n" not in message
    assert len(message) < 200


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(DefinitionError):
        assert 0 <= to_ms(text, "timeout") <= YEAR


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0s"),
        (250, "250ms"),
        (5_400_000, "1h30m"),
        (90_000, "1m30s"),
        (604_800_000, "7d"),
        (90_061_001, "1d1h1m1s1ms"),
        (-1_500, "-1s500ms"),
    ],
)
def test_writes(ms: int, text: str) -> None:
    assert from_ms(ms) == text


@given(st.integers(0, YEAR))
def test_what_it_writes_it_reads(ms: int) -> None:
    assert to_ms(from_ms(ms), "timeout") == ms


@given(st.timedeltas(timedelta(0), timedelta(days=366)))
def test_timedeltas_are_exact_to_half_a_millisecond(value: timedelta) -> None:
    assert abs(timedelta(milliseconds=to_ms(value, "timeout")) - value) < timedelta(milliseconds=1)


def test_until_a_moment_is_that_moment_in_any_zone() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    now = 1_893_456_000_000 - 1_000
    assert until_ms(moment, now, "when") == 1_893_456_000_000
    assert until_ms(moment.astimezone(timezone(timedelta(hours=9))), now, "when") == now + 1_000


def test_until_a_moment_never_wakes_early() -> None:
    moment = datetime(1970, 1, 1, 0, 0, 1, 500_001, tzinfo=UTC)
    assert until_ms(moment, 0, "when") == 1_501


def test_until_a_past_moment_is_in_the_past() -> None:
    assert until_ms(datetime(1970, 1, 1, tzinfo=UTC), 5_000, "when") == 0


def test_until_a_duration_counts_from_now() -> None:
    assert until_ms("1m30s", 1_000, "when") == 91_000
    assert until_ms(timedelta(seconds=2), 1_000, "when") == 3_000


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        (datetime(2030, 1, 1), "2030-01-01T00:00:00 has no time zone; add tzinfo=timezone.utc"),
        (datetime(2030, 1, 1, tzinfo=UTC), "lies more than 366 days ahead"),
        (datetime.max.replace(tzinfo=UTC), "lies more than 366 days ahead"),
        ("soon", "'soon' is not a duration"),
    ],
)
def test_until_refuses_in_one_line(when: Any, reason: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        until_ms(when, 0, "when of step 'wait'")
    assert str(caught.value).startswith("when of step 'wait': ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
