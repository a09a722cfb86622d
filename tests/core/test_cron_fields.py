from __future__ import annotations

from typing import Any

import pytest

from qflow.core.cron import Cron
from qflow.core.cron_fields import ANY, read
from qflow.errors import DefinitionError


@pytest.mark.parametrize(
    ("expression", "same_as"),
    [
        ("0 9-9 * * *", "0 9 * * *"),
        ("5-5/20 * * * *", "5 * * * *"),
        ("0 0 * JAN-JAN *", "0 0 * 1 *"),
        ("50-10/15 * * * *", "50,5 * * * *"),
        ("0 22-2/2 * * *", "0 22,0,2 * * *"),
        ("0 22-2 * * *", "0 22,23,0,1,2 * * *"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("0 0 1 NOV-FEB *", "0 0 1 11,12,1,2 *"),
        ("0 0 * * FRI-MON", "0 0 * * 5,6,0,1"),
        ("0 0 * * 5-7", "0 0 * * 5,6,0"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 7-7", "0 0 * * SUN"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 * * 1/2", "0 0 * * 1,3,5"),
        ("0 0 */2 * 0-6", "0 0 * * *"),
        ("0 0 1-31 * MON", "0 0 * * *"),
        ("0 0 */1 * MON", "0 0 * * MON"),
        ("0 0 ? * MON", "0 0 * * MON"),
        ("00 09 * * *", "0 9 * * *"),
        ("  0\t9 *  * mOn ", "0 9 * * 1"),
        ("@Midnight", "@daily"),
        ("@annually", "@yearly"),
    ],
)
def test_spellings(expression: str, same_as: str) -> None:
    assert read(expression) == read(same_as)


def test_fields_are_reduced_to_values() -> None:
    fields = read("*/20 8-10 L,15 feb MON")
    assert fields.minutes == ("0", "20", "40")
    assert fields.hours == ("8", "9", "10")
    assert fields.days == ("15", "l")
    assert fields.months == ("2",)
    assert fields.weekdays == ("1",)
    assert read("0-59 0-23 * 1-12 0-6") == read("* * * * *")
    assert read("@hourly").hours == ANY


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "0 fields instead of 5; write minute hour"),
        (
            "* * * *",
            "4 fields instead of 5; write minute hour day-of-month month day-of-week, such",
        ),
        ("0 * * * * *", "6 fields; there is none for seconds or years"),
        ("0 0 * * * * 2030", "7 fields; there is none for seconds or years"),
        ("@reboot", "workers restart at any time; send an event from your start-up code"),
        ("@every 5m", "unknown name; write one of @hourly @daily"),
        (
            "TZ=Europe/Berlin 0 9 * * *",
            'the zone goes apart: Cron("0 9 * * MON", tz="Europe/Berlin")',
        ),
        ("60 * * * *", "'60' is no minute; write 0-59"),
        ("0 24 * * *", "'24' is no hour; write 0-23"),
        ("0 0 0 * *", "'0' is no day of month; write 1-31"),
        ("0 0 * 13 *", "'13' is no month; write 1-12 or JAN-DEC"),
        ("0 0 * * 8", "'8' is no day of week; write 0-6 or SUN-SAT"),
        ("0 0 * * L", "'l' is no day of week"),
        ("0 0 * MON *", "'mon' is no month"),
        ("0 0 15W * *", "'15w' is no day of month"),
        ("H * * * *", "'h' is no minute"),
        ("H(0-29) * * * *", "cannot read 'h(0-29)' as minute"),
        ("R/5 * * * *", "'r' is no minute"),
        ("? * * * *", "cannot read '?' as minute"),
        ("1,,2 * * * *", "cannot read '' as minute"),
        ("-5 * * * *", "cannot read '-5' as minute"),
        ("*-5 * * * *", "cannot read '*-5' as minute"),
        ("1.5 * * * *", "cannot read '1.5' as minute"),
        ("٣ * * * *", "cannot read '٣' as minute"),
        ("*/0 * * * *", "step 0 of minute is out of range; write 1-60"),
        ("*/90 * * * *", "step 90 of minute is out of range; write 1-60"),
        ("0 0 * * 1#6", "cannot read '1#6' as day of week"),
        ("0 0 * * 1#1,3", "a day of week with # or L stands without other days; use two triggers"),
        ("0 0 1 * 1#1", "a day of week with # or L stands without other days; use two triggers"),
        ("0 0 30 2 *", "it would never tick: no such month has such a day"),
        ("0 0 31 4,6,9,11 *", "it would never tick: no such month has such a day"),
        ("0,1" + ",2" * 200 + " * * * *", "longer than 255 characters; use several triggers"),
        (None, "not text; write minute hour"),
        (["0 9 * * *"], "not text; write minute hour"),
    ],
)
def test_refuses_in_one_line(expression: Any, reason: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Cron(expression)
    message = str(caught.value)
    assert message.startswith(f"cron {expression!r}"[:80])
    assert reason in message
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"tz": "europe/berlin"},
            """unknown tz 'europe/berlin'; write an IANA zone such as tz="Europe/Berlin\"""",
        ),
        ({"tz": "New York"}, 'such as tz="America/New_York"'),
        ({"tz": "../etc/passwd"}, "unknown tz '../etc/passwd'"),
        ({"tz": "/etc/localtime"}, "unknown tz '/etc/localtime'"),
        ({"tz": "localtime"}, "unknown tz 'localtime'"),
        ({"tz": "America"}, "unknown tz 'America'"),
        ({"tz": ""}, "unknown tz ''"),
        ({"tz": None}, "unknown tz None"),
        ({"jitter": "5m1s"}, "jitter '5m1s' is out of range; write 0, or from '1s' to '5m'"),
        ({"jitter": 0.5}, "jitter 0.5 is out of range"),
        ({"jitter": -1}, "-1 is negative"),
        ({"jitter": True}, "True is not a duration"),
        ({"catch_up": "newest"}, "catch_up 'newest' is unknown; write one of none, latest, all"),
        ({"catch_up": None}, "catch_up None is unknown"),
    ],
)
def test_refuses_options_in_one_line(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Cron("0 9 * * *", **options)
    message = str(caught.value)
    assert "cron '0 9 * * *'" in message
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize("jitter", [0, "1s", "5m", 300])
def test_accepts_jitter_at_its_bounds(jitter: Any) -> None:
    Cron("0 9 * * *", jitter=jitter)
