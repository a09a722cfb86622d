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
    a, b = read(expression), read(same_as)
    assert (a.minutes, a.hours, a.days, a.months, a.weekdays) == (
        *(b.minutes, b.hours, b.days),
        *(b.months, b.weekdays),
    )
    assert a.next_after(0) == b.next_after(0)
