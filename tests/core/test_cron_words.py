from __future__ import annotations

import pytest

from qflow.core.cron import Cron, describe


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0,30 * * * *", "every 30 minutes"),
        ("@hourly", "every hour"),
        ("5 * * * *", "every hour at minute 5"),
        ("*/45 * * * *", "every hour at minutes 0 and 45"),
        ("0 */2 * * *", "every 2 hours (Europe/Berlin)"),
        ("0 9 * * *", "every day at 09:00 (Europe/Berlin)"),
        ("30 9,17 * * *", "every day at 09:30 and 17:30 (Europe/Berlin)"),
        ("0 */12 * * *", "every day at 00:00 and 12:00 (Europe/Berlin)"),
        ("0 8 * * 1-5", "every weekday at 08:00 (Europe/Berlin)"),
        ("0 9 * * MON", "at 09:00 on Monday (Europe/Berlin)"),
        ("0 9 * * sun,wed,sat", "at 09:00 on Wednesday, Saturday and Sunday (Europe/Berlin)"),
        ("0 9 * * MON#1", "at 09:00 on the first Monday of the month (Europe/Berlin)"),
        ("0 9 * * 5L", "at 09:00 on the last Friday of the month (Europe/Berlin)"),
        ("@monthly", "at 00:00 on day 1 of the month (Europe/Berlin)"),
        ("0 0 1,L * *", "at 00:00 on day 1 and the last day of the month (Europe/Berlin)"),
        ("@yearly", "at 00:00 on 1 January (Europe/Berlin)"),
        ("0 0 L 2 *", "at 00:00 on the last day of February (Europe/Berlin)"),
        ("0 0 1 1,7 *", "at 00:00 on 1 January and 1 July (Europe/Berlin)"),
        ("* 9 * * *", 'cron "* 9 * * *" (Europe/Berlin)'),
        ("0  9 1 * MON", 'cron "0 9 1 * MON" (Europe/Berlin)'),
        ("0 9-17 * * *", 'cron "0 9-17 * * *" (Europe/Berlin)'),
        ("*/10 * * * 1", 'cron "*/10 * * * 1" (Europe/Berlin)'),
        ("1,2,3,4,5 * * * *", 'cron "1,2,3,4,5 * * * *" (Europe/Berlin)'),
        ("0 9 1-9 * *", 'cron "0 9 1-9 * *" (Europe/Berlin)'),
        ("0 9 1,2,3 1,2 *", 'cron "0 9 1,2,3 1,2 *" (Europe/Berlin)'),
        ("0 9 * 6 *", 'cron "0 9 * 6 *" (Europe/Berlin)'),
    ],
)
def test_describe(expression: str, text: str) -> None:
    assert describe(Cron(expression, tz="Europe/Berlin")) == text
