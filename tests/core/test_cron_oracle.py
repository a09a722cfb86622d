"""Generated schedules, about changes of the clock, against Debian's rule and against our own."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qflow.core.cron import Cron, last_tick, next_tick

MINUTE = 60_000
ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"),
    *("Africa/Cairo", "Asia/Kolkata", "UTC", "Pacific/Apia"),
)
# In minutes, as everything below that walks through time.
FROM, TO = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // 60 for year in (2010, 2036))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """Texts of one field that stars do not begin, because there Debian's rules differ."""
    one = st.integers(low, high)
    pair = st.tuples(one, one).filter(lambda p: p[0] < p[1])
    step = st.integers(1, high - low + 1)
    item = st.one_of(
        one.map(str),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.tuples(pair, step).map(lambda t: f"{t[0][0]}-{t[0][1]}/{t[1]}"),
    )
    return st.lists(item, min_size=1, max_size=3).map(",".join)


def either(*choices: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(*(st.just(c) if isinstance(c, str) else c for c in choices))


DATES = (either("*", field(1, 28)), either("*", "*", field(1, 12)), either("*", field(0, 6)))
BY_WALL_CLOCK = st.tuples(field(0, 59), either("1", "2", "0-3", field(0, 22)), *DATES)
BY_ELAPSED_TIME = st.tuples(either("*/15", "*/7", field(0, 59)), st.just("*"), *DATES)
EXPRESSIONS = st.one_of(BY_WALL_CLOCK, BY_ELAPSED_TIME).map(" ".join)


def offset(zone: ZoneInfo, minute: int) -> int:
    """Return the minutes that local time is ahead of UTC."""
    ahead = datetime.fromtimestamp(minute * 60, zone).utcoffset()
    assert ahead is not None
    return int(ahead.total_seconds()) // 60


def days_of_change(tz: str) -> list[int]:
    """Return the first minutes of the UTC days during which the zone changes its offset."""
    zone, days = ZoneInfo(tz), range(FROM, TO, 1_440)
    return [day for day in days if offset(zone, day) != offset(zone, day + 1_440)]


CHANGES = [(tz, day) for tz in ZONES for day in days_of_change(tz)]
ANY_TIME = st.tuples(st.sampled_from(ZONES), st.integers(FROM, TO))
NEAR_A_CHANGE = st.builds(
    lambda change, minutes: (change[0], change[1] + minutes),
    st.sampled_from(CHANGES),
    st.integers(-2_000, 2_000),
)
PLACES = st.one_of(NEAR_A_CHANGE, NEAR_A_CHANGE, ANY_TIME)


def ticks(cron: Cron, after: int, count: int) -> list[int]:
    found = [after]
    for _ in range(count):
        found.append(next_tick(cron, found[-1]))
    return found[1:]


def between(cron: Cron, start: int, stop: int) -> list[int]:
    found = []
    while (start := next_tick(cron, start)) < stop:
        found.append(start)
    return found


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, PLACES)
def test_agrees_with_debian(expression: str, place: tuple[str, int]) -> None:
    tz, start = place
    begin = datetime.fromtimestamp(start * 60, ZoneInfo(tz))
    assume(not begin.fold)  # begun inside a repeated hour, cronsim goes back in time
    # cronsim 2.8 loses ticks in a gap of half an hour: from 01:45 it goes to 03:45.
    assume(tz != "Australia/Lord_Howe" or expression.split()[1] != "*")
    debian = CronSim(expression, begin)
    expected = [int(next(debian).timestamp()) * 1_000 for _ in range(12)]
    assert ticks(Cron(expression, tz=tz), start * MINUTE, 12) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.one_of(st.just(set(range(24))), st.sets(st.integers(0, 23), min_size=1, max_size=5)),
    st.sampled_from(CHANGES),
)
def test_is_what_the_rule_says(minutes: set[int], hours: set[int], change: tuple[str, int]) -> None:
    """Walk every minute of three days about a change, and compare with the rule word by word."""
    tz, day = change
    zone, first, stop = ZoneInfo(tz), day - 1_440, day + 2 * 1_440

    def matches(reading: int) -> bool:
        return reading % 60 in minutes and reading // 60 % 24 in hours

    expected, seen = [], set()
    for minute in range(first - 1_440, stop):
        reading, ahead = (
            minute + offset(zone, minute),
            offset(zone, minute) - offset(zone, minute - 1),
        )
        due = matches(reading)
        if len(hours) < 24:
            due = due and reading not in seen
            due = due or any(matches(skipped) for skipped in range(reading - ahead, reading))
        if due and minute > first:
            expected.append(minute * MINUTE)
        seen.add(reading)

    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    assert between(Cron(text, tz=tz), first * MINUTE, stop * MINUTE) == expected


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, PLACES, st.integers(0, MINUTE - 1))
def test_last_tick_is_the_inverse(expression: str, place: tuple[str, int], part: int) -> None:
    tz, minute = place
    cron, now = Cron(expression, tz=tz), minute * MINUTE + part
    following, newest = next_tick(cron, now), last_tick(cron, now)
    assert newest <= now < following
    assert next_tick(cron, newest) == following
    assert last_tick(cron, following) == following
    assert last_tick(cron, following - 1) == newest
