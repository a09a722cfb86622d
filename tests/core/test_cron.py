from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from qflow.core.cron import Cron, due_ticks, fire_ms, last_tick, next_tick
from qflow.core.cron_fields import Fields

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def ticks(cron: Cron, after_ms: int, count: int) -> list[int]:
    found = [after_ms]
    for _ in range(count):
        found.append(next_tick(cron, found[-1]))
    return found[1:]


def local(cron: Cron, after: str, count: int) -> list[str]:
    """Return the next ticks as local readings, such as "2024-03-31T03:00+02:00"."""
    zone = ZoneInfo(cron.tz)
    moments = (datetime.fromtimestamp(t / 1_000, zone) for t in ticks(cron, ms(after), count))
    return [moment.isoformat(timespec="minutes") for moment in moments]


# What each zone does is in the comment: the clock goes from the first time to the second.
DAYLIGHT_SAVING = [
    # 31 March 2024 02:00 → 03:00, 27 October 2024 03:00 → 02:00
    ("Europe/Berlin", "30 2 * * *", "2024-03-30T12:00Z", "03-31T03:00+02:00 04-01T02:30+02:00"),
    ("Europe/Berlin", "15,45 2 * * *", "2024-03-30T12:00Z", "03-31T03:00+02:00 04-01T02:15+02:00"),
    ("Europe/Berlin", "0 2,3 * * *", "2024-03-30T12:00Z", "03-31T03:00+02:00 04-01T02:00+02:00"),
    ("Europe/Berlin", "30 2,3 * * *", "2024-03-30T12:00Z", "03-31T03:00+02:00 03-31T03:30+02:00"),
    ("Europe/Berlin", "*/15 2 * * *", "2024-03-30T12:00Z", "03-31T03:00+02:00 04-01T02:00+02:00"),
    ("Europe/Berlin", "0 */2 * * *", "2024-03-30T23:30Z", "03-31T03:00+02:00 03-31T04:00+02:00"),
    ("Europe/Berlin", "0 * * * *", "2024-03-30T23:30Z", "03-31T01:00+01:00 03-31T03:00+02:00"),
    ("Europe/Berlin", "*/30 * * * *", "2024-03-31T00:15Z", "03-31T01:30+01:00 03-31T03:00+02:00"),
    ("Europe/Berlin", "30 2 * * 0", "2024-03-30T12:00Z", "03-31T03:00+02:00 04-07T02:30+02:00"),
    ("Europe/Berlin", "30 2 * * *", "2024-10-26T12:00Z", "10-27T02:30+02:00 10-28T02:30+01:00"),
    ("Europe/Berlin", "30 2 * * *", "2024-10-27T01:15Z", "10-28T02:30+01:00 10-29T02:30+01:00"),
    ("Europe/Berlin", "0 2,3 * * *", "2024-10-26T12:00Z", "10-27T02:00+02:00 10-27T03:00+01:00"),
    ("Europe/Berlin", "0 * * * *", "2024-10-26T23:30Z", "10-27T02:00+02:00 10-27T02:00+01:00"),
    ("Europe/Berlin", "0 0-23 * * *", "2024-10-26T23:30Z", "10-27T02:00+02:00 10-27T02:00+01:00"),
    # 10 March 2024 02:00 → 03:00, 3 November 2024 02:00 → 01:00
    ("America/New_York", "30 2 * * *", "2024-03-10T05:00Z", "03-10T03:00-04:00 03-11T02:30-04:00"),
    ("America/New_York", "30 1 * * *", "2024-11-03T04:00Z", "11-03T01:30-04:00 11-04T01:30-05:00"),
    # Half an hour: 6 October 2024 02:00 → 02:30, 7 April 2024 02:00 → 01:30
    (
        "Australia/Lord_Howe",
        "15 2 * * *",
        "2024-10-05T12:00Z",
        "10-06T02:30+11:00 10-07T02:15+11:00",
    ),
    (
        "Australia/Lord_Howe",
        "0 * * * *",
        "2024-10-05T14:00Z",
        "10-06T01:00+10:30 10-06T03:00+11:00",
    ),
    (
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2024-04-06T12:00Z",
        "04-07T01:45+11:00 04-08T01:45+10:30",
    ),
    (
        "Australia/Lord_Howe",
        "45 * * * *",
        "2024-04-06T14:30Z",
        "04-07T01:45+11:00 04-07T01:45+10:30",
    ),
    # At midnight: 4 November 2018 00:00 → 01:00, 18 February 2018 00:00 → 23:00 on the 17th
    ("America/Sao_Paulo", "@daily", "2018-11-03T12:00Z", "11-04T01:00-02:00 11-05T00:00-02:00"),
    (
        "America/Sao_Paulo",
        "30 23 * * *",
        "2018-02-17T12:00Z",
        "02-17T23:30-02:00 02-18T23:30-03:00",
    ),
    # At midnight: 26 April 2024 00:00 → 01:00, 1 November 2024 00:00 → 23:00 on the 31st
    ("Africa/Cairo", "@daily", "2024-04-25T12:00Z", "04-26T01:00+03:00 04-27T00:00+03:00"),
    ("Africa/Cairo", "30 0 * * FRI", "2024-04-25T12:00Z", "04-26T01:00+03:00 05-03T00:30+03:00"),
    ("Africa/Cairo", "30 23 * * *", "2024-10-31T12:00Z", "10-31T23:30+03:00 11-01T23:30+02:00"),
    # The whole of 30 December 2011 is skipped: 29 December 24:00 → 31 December 00:00
    ("Pacific/Apia", "0 9 * * *", "2011-12-30T01:00Z", "12-31T00:00+14:00 12-31T09:00+14:00"),
    ("Pacific/Apia", "0 0 30,31 12 *", "2011-12-29T12:00Z", "12-31T00:00+14:00 12-30T00:00+14:00"),
    ("Pacific/Apia", "0 * * * *", "2011-12-30T08:30Z", "12-29T23:00-10:00 12-31T00:00+14:00"),
    # Ramadan: 10 March 2024 03:00 → 02:00, 14 April 2024 02:00 → 03:00
    ("Africa/Casablanca", "30 2 * * *", "2024-03-09T12:00Z", "03-10T02:30+01:00 03-11T02:30+00:00"),
    ("Africa/Casablanca", "30 2 * * *", "2024-04-13T12:00Z", "04-14T03:00+01:00 04-15T02:30+01:00"),
    # Winter is the exception in law ("negative" saving): 27 October 2024 02:00 → 01:00
    ("Europe/Dublin", "30 1 * * *", "2024-10-26T12:00Z", "10-27T01:30+01:00 10-28T01:30+00:00"),
    ("Asia/Kolkata", "0 9 * * *", "2024-03-30T12:00Z", "03-31T09:00+05:30 04-01T09:00+05:30"),
    ("UTC", "30 2 * * *", "2024-03-30T12:00Z", "03-31T02:30+00:00 04-01T02:30+00:00"),
]


@pytest.mark.parametrize(("tz", "expression", "after", "expected"), DAYLIGHT_SAVING)
def test_daylight_saving(tz: str, expression: str, after: str, expected: str) -> None:
    found = local(Cron(expression, tz=tz), after, 2)
    assert " ".join(text[5:] for text in found) == expected


@pytest.mark.parametrize(
    "tz", ["Europe/Berlin", "America/New_York", "Africa/Cairo", "Pacific/Apia"]
)
@pytest.mark.parametrize(
    ("expression", "gap"), [("*/15 * * * *", 15 * MINUTE), ("0 * * * *", HOUR)]
)
def test_schedules_of_every_hour_keep_their_pace_through_a_year(
    tz: str, expression: str, gap: int
) -> None:
    cron = Cron(expression, tz=tz)
    for day in range(0, 366, 2):
        start = ms("2011-06-01T00:00Z") + day * DAY
        assert {b - a for a, b in pairwise([start, *ticks(cron, start, 4)])} == {gap}


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        (
            "0 0 L * *",
            "2023-01-30T00:00Z",
            ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"],
        ),
        (
            "0 0 L 2 *",
            "2023-01-30T00:00Z",
            ["2023-02-28", "2024-02-29", "2025-02-28", "2026-02-28"],
        ),
        (
            "0 0 31 * *",
            "2023-01-01T00:00Z",
            ["2023-01-31", "2023-03-31", "2023-05-31", "2023-07-31"],
        ),
        (
            "0 0 29 2 *",
            "2023-01-01T00:00Z",
            ["2024-02-29", "2028-02-29", "2032-02-29", "2036-02-29"],
        ),
        (
            "0 0 29 2 *",
            "2096-03-01T00:00Z",
            ["2104-02-29", "2108-02-29", "2112-02-29", "2116-02-29"],
        ),
        ("@yearly", "2023-12-31T23:59Z", ["2024-01-01", "2025-01-01", "2026-01-01", "2027-01-01"]),
        ("@monthly", "2023-11-15T00:00Z", ["2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01"]),
        ("@weekly", "2023-12-25T00:00Z", ["2023-12-31", "2024-01-07", "2024-01-14", "2024-01-21"]),
        (
            "0 0 * * MON#1",
            "2024-01-01T00:00Z",
            ["2024-02-05", "2024-03-04", "2024-04-01", "2024-05-06"],
        ),
        (
            "0 0 * * MON#5",
            "2024-02-01T00:00Z",
            ["2024-04-29", "2024-07-29", "2024-09-30", "2024-12-30"],
        ),
        (
            "0 0 * * FRIL",
            "2024-01-01T00:00Z",
            ["2024-01-26", "2024-02-23", "2024-03-29", "2024-04-26"],
        ),
        (
            "0 0 13 * FRI",
            "2024-09-07T00:00Z",
            ["2024-09-13", "2024-09-20", "2024-09-27", "2024-10-04"],
        ),
        (
            "0 0 1 * 1",
            "2024-05-29T00:00Z",
            ["2024-06-01", "2024-06-03", "2024-06-10", "2024-06-17"],
        ),
        (
            "0 0 */15 * 1",
            "2024-05-29T00:00Z",
            ["2024-05-31", "2024-06-01", "2024-06-03", "2024-06-10"],
        ),
        (
            "0 0 30 2 1",
            "2024-01-29T00:00Z",
            ["2024-02-05", "2024-02-12", "2024-02-19", "2024-02-26"],
        ),
    ],
)
def test_calendar(expression: str, after: str, expected: list[str]) -> None:
    assert [text[:10] for text in local(Cron(expression), after, 4)] == expected


def test_ticks_are_strictly_later_to_the_millisecond() -> None:
    cron, nine = Cron("0 9 * * *"), ms("2024-01-01T09:00Z")
    assert next_tick(cron, nine - 1) == nine
    assert next_tick(cron, nine) == next_tick(cron, nine + 999) == nine + DAY
    assert last_tick(cron, nine) == last_tick(cron, nine + 999) == nine
    assert last_tick(cron, nine - 1) == nine - DAY


def test_jitter_is_within_bounds_spread_and_the_same_everywhere() -> None:
    cron, tick = Cron("0 9 * * *", jitter="30s"), ms("2024-01-01T09:00Z")
    offsets = [fire_ms(cron, tick, f"function-{n}") - tick for n in range(500)]
    assert min(offsets) >= 0
    assert max(offsets) <= 30_000
    assert len(set(offsets)) > 450
    assert {n // 10_000 for n in offsets} >= {0, 1, 2}
    assert fire_ms(cron, tick, "sync") - tick == 13_942
    assert fire_ms(cron, tick + DAY, "sync") - tick - DAY != 13_942


def test_no_jitter_fires_on_the_tick() -> None:
    assert fire_ms(Cron("0 9 * * *"), 1_000, "sync") == 1_000


NOON = ms("2024-06-01T12:00Z")


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_nothing_is_due_before_the_next_tick(catch_up: Any) -> None:
    cron = Cron("0 * * * *", catch_up=catch_up)
    assert due_ticks(cron, NOON, NOON + HOUR - 1) == ([], NOON + HOUR)


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_a_tick_just_passed_is_due(catch_up: Any) -> None:
    cron = Cron("0 * * * *", catch_up=catch_up)
    assert due_ticks(cron, NOON, NOON + HOUR) == ([NOON + HOUR], NOON + 2 * HOUR)
    assert due_ticks(cron, NOON, NOON + HOUR + 60_000) == ([NOON + HOUR], NOON + 2 * HOUR)


@pytest.mark.parametrize(("catch_up", "due"), [("none", []), ("latest", [3]), ("all", [1, 2, 3])])
def test_after_an_absence(catch_up: Any, due: list[int]) -> None:
    cron = Cron("0 * * * *", catch_up=catch_up)
    found = due_ticks(cron, NOON, NOON + 3 * HOUR + 30 * MINUTE)
    assert found == ([NOON + hours * HOUR for hours in due], NOON + 4 * HOUR)


def test_none_starts_the_newest_tick_alone_when_it_is_in_grace() -> None:
    cron, now = Cron("* * * * *"), NOON + 10 * MINUTE
    assert due_ticks(cron, NOON, now + 1_000) == ([now], now + MINUTE)
    assert due_ticks(cron, NOON, now + 1_000, grace_ms=999) == ([], now + MINUTE)
    assert due_ticks(cron, NOON, now + 1_000, grace_ms=5 * MINUTE) == ([now], now + MINUTE)


def test_all_comes_back_for_what_the_limit_left() -> None:
    cron, now = Cron("* * * * *", catch_up="all"), NOON + 5 * MINUTE
    due, following = due_ticks(cron, NOON, now, limit=3)
    assert due == [NOON + n * MINUTE for n in (1, 2, 3)]
    assert following == NOON + 4 * MINUTE
    assert due_ticks(cron, due[-1], now, limit=3) == (
        [NOON + 4 * MINUTE, NOON + 5 * MINUTE],
        NOON + 6 * MINUTE,
    )


def test_a_clock_set_back_starts_nothing_twice() -> None:
    cron = Cron("0 * * * *", catch_up="all")
    assert due_ticks(cron, NOON, NOON - 5 * HOUR) == ([], NOON + HOUR)


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "Pacific/Apia"])
@pytest.mark.parametrize("expression", ["* * * * *", "* 0-22 * * *", "0 0 29 2 *"])
@pytest.mark.parametrize("catch_up", ["none", "latest"])
def test_a_year_missed_costs_a_few_searches(
    monkeypatch: pytest.MonkeyPatch, tz: str, expression: str, catch_up: Any
) -> None:
    cron = Cron(expression, tz=tz, catch_up=catch_up)
    searches = 0

    def counted(search: Callable[[Fields, int], int]) -> Callable[[Fields, int], int]:
        def count(fields: Fields, local: int) -> int:
            nonlocal searches
            searches += 1
            return search(fields, local)

        return count

    for name in ("next_after", "last_before"):
        monkeypatch.setattr(Fields, name, counted(getattr(Fields, name)))
    due_ticks(cron, NOON - 366 * DAY, NOON + 1)
    assert searches <= 6


def test_spec_survives_json() -> None:
    cron = Cron("0 9 * * MON", tz="America/New_York", jitter="30s", catch_up="latest")
    spec = cron.to_spec()
    assert spec == {
        "cron": "0 9 * * MON",
        "tz": "America/New_York",
        "jitter_ms": 30_000,
        "catch_up": "latest",
    }
    assert Cron.from_spec(json.loads(json.dumps(spec))) == cron
    assert Cron.from_spec(Cron("@daily").to_spec()) == Cron("@daily")


def test_equal_however_the_jitter_is_written() -> None:
    spellings: list[Any] = ["90s", 90, 90.0, "1m30s", timedelta(seconds=90)]
    assert len({Cron("@daily", jitter=jitter) for jitter in spellings}) == 1


def test_key_names_the_schedule_and_no_more() -> None:
    assert Cron(" 0 9  * * MON", tz="Europe/Berlin").key == "0 9 * * mon Europe/Berlin"
    assert (
        Cron("@daily", jitter="5s").key == Cron("0 0 * * *", catch_up="all").key == "0 0 * * * UTC"
    )


def test_importing_is_lean() -> None:
    code = "import sys, qflow.core.cron; sys.exit('croniter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
