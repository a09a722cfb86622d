"""Cron schedules: what a user writes, when it ticks, and what to start after an absence.

Pure: the time comes in as epoch milliseconds, and jitter is hashed from a seed.

**Fields.** `minute hour day-of-month month day-of-week`, or @hourly @daily @midnight @weekly
@monthly @yearly @annually. Each field takes `*`, numbers, names (JAN, MON; Sunday is 0 or 7),
lists, ranges (also across the end: `22-2`, `FRI-MON`) and steps (`*/15`, `8-18/2`, `5/20`).
Day of month takes `L` (the last day); day of week `MON#1` (the first Monday) or `5L` (the last
Friday).

**Days.** As in POSIX, when day of month and day of week are both restricted, a day that matches
either counts: `0 9 1 * MON` is the 1st of the month and every Monday. Only `*` (also written `*/1`
or `?`) is unrestricted; `*/2` restricts.

**Daylight saving.** The hour field decides.
- Every hour (`*`, `*/1`, `0-23`): by elapsed time. A tick is any moment whose local reading
  matches, so `*/15 * * * *` keeps its 15 minutes through both changes.
- Any other: by the wall clock. Local times that the clock skips tick once, together, at the first
  moment after the gap; a local time that it repeats ticks the first time only.

This is Debian's rule, except that Debian goes by elapsed time whenever the minute or hour field
begins with a star, and so skips or repeats `*/15 2 * * *` and `0 */2 * * *` on those days.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final, Literal

from qflow.core.durations import Duration, to_ms
from qflow.core.event import to_text

CRON_EVENT: Final = "qflow/cron"
"""The name of the event that a tick gives the run it starts."""
_DAY = 86_400
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the clock on the wall, of any zone
_CATCH_UP = ("none", "latest", "all")


@dataclass(frozen=True)
class Cron:
    """Start a function on a schedule: `Cron("0 9 * * MON", tz="America/New_York")`.

    `expression` is five cron fields or a name such as "@daily"; `tz` an IANA zone. `jitter`, up to
    five minutes, spreads starts after each tick, always alike for one function and tick.
    `catch_up` says what becomes of ticks missed while nothing ran: "none" skips them, "latest"
    starts the newest one, "all" starts each, oldest first.

    When day of month and day of week are both restricted, a day that matches either counts. A local
    time that daylight saving skips ticks once, right after the gap; one that it repeats ticks once.
    A schedule of every hour goes by elapsed time instead.
    """

    expression: str
    tz: str = "UTC"
    jitter: Duration = 0
    catch_up: Literal["none", "latest", "all"] = "none"

    def __post_init__(self) -> None:
        from qflow.core import cron_fields  # croniter: who schedules nothing goes without

        cron_fields.read(self.expression)
        _check_zone(self.tz, self.expression)
        jitter = to_ms(self.jitter, f"jitter of cron {self.expression!r}")
        if jitter and not 1_000 <= jitter <= 300_000:
            reason = f"jitter {self.jitter!r} is out of range; write 0, or from '1s' to '5m'"
            raise cron_fields.refusal(self.expression, reason)
        if self.catch_up not in _CATCH_UP:
            reason = f"catch_up {self.catch_up!r} is unknown; write one of {', '.join(_CATCH_UP)}"
            raise cron_fields.refusal(self.expression, reason)
        # One form, so that equal schedules are equal however their jitter was written.
        object.__setattr__(self, "jitter", timedelta(milliseconds=jitter))

    @property
    def jitter_ms(self) -> int:
        """The jitter in milliseconds."""
        return to_ms(self.jitter, "jitter")

    @property
    def key(self) -> str:
        """Stable text of expression and zone; letter case, spaces and @names make no difference."""
        from qflow.core import cron_fields

        return f"{cron_fields.plain(self.expression)} {self.tz}"

    def to_spec(self) -> dict[str, str | int]:
        """Return what `from_spec` rebuilds this schedule from, as JSON can carry it."""
        spec = {"cron": self.expression, "tz": self.tz, "catch_up": self.catch_up}
        return {**spec, "jitter_ms": self.jitter_ms}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Cron:
        """Return the schedule that `to_spec` described."""
        jitter = timedelta(milliseconds=spec["jitter_ms"])
        return cls(spec["cron"], tz=spec["tz"], jitter=jitter, catch_up=spec["catch_up"])


def next_tick(cron: Cron, after_ms: int) -> int:
    """Return the first tick strictly after `after_ms`."""
    from qflow.core import cron_fields

    fields, zone, after = cron_fields.read(cron.expression), _zone(cron.tz), after_ms // 1_000
    local = after + _offset(zone, after)
    if not fields.every_hour:
        while True:
            local = fields.next_after(local)
            tick = _reading(zone, local)
            if tick > after:
                return tick * 1_000
    while True:
        tick = fields.next_after(local) - _offset(zone, after)
        changes = _changes(zone, after, tick)
        if not changes:
            return tick * 1_000
        after = changes[0]
        local = after + _offset(zone, after) - 1


def last_tick(cron: Cron, until_ms: int) -> int:
    """Return the newest tick at or before `until_ms`, found without walking through older ones."""
    from qflow.core import cron_fields

    fields, zone, until = cron_fields.read(cron.expression), _zone(cron.tz), until_ms // 1_000
    local = until + _offset(zone, until)
    if not fields.every_hour:
        # In the second pass through a repeated hour, all of the first pass lies behind.
        local = max(local, until + _wall_offset(zone, local))
        while True:
            local = fields.last_before(local + 1)
            tick = _reading(zone, local)
            if tick <= until:
                return tick * 1_000
            local -= 1
    while True:
        tick = fields.last_before(local + 1) - _offset(zone, until)
        changes = _changes(zone, tick, until)
        if not changes:
            return tick * 1_000
        until = changes[-1] - 1
        local = until + _offset(zone, until)


def tick_event(cron: Cron, tick_ms: int, at_ms: int) -> tuple[str, str]:
    """Return id and text of the event of a run that a tick starts `at_ms`."""
    event_id = f"cron:{cron.key}:{tick_ms}"
    data = {"cron": cron.expression, "tz": cron.tz, "scheduled_ms": tick_ms, "fire_ms": at_ms}
    return event_id, to_text(event_id, CRON_EVENT, tick_ms, "", json.dumps(data))


def fire_ms(cron: Cron, tick_ms: int, seed: str) -> int:
    """Return when to start for this tick: up to `jitter` later, the same in every process."""
    from hashlib import sha1  # loads OpenSSL

    digest = sha1(f"{seed} {tick_ms}".encode(), usedforsecurity=False).digest()
    return tick_ms + int.from_bytes(digest[:8]) % (cron.jitter_ms + 1)


def due_ticks(
    cron: Cron, last_ms: int, now_ms: int, limit: int = 1_000, grace_ms: int = 60_000
) -> tuple[list[int], int]:
    """Return the ticks in (last, now] to start now, oldest first, and the tick to come back at.

    "all" returns each, at most `limit`; when more remain, the tick to come back at is the first of
    those. "latest" returns the newest. "none" returns the newest if it is at most `grace_ms` late,
    which is a scheduler's own delay and no absence.
    """
    following = next_tick(cron, last_ms)
    if following > now_ms:
        return [], following
    if cron.catch_up == "all":
        due: list[int] = []
        while following <= now_ms and len(due) < limit:
            due.append(following)
            following = next_tick(cron, following)
        return due, following
    newest = last_tick(cron, now_ms)
    missed = cron.catch_up == "none" and now_ms - newest > grace_ms
    return [] if missed else [newest], next_tick(cron, now_ms)


def describe(cron: Cron) -> str:
    """Return the schedule in plain English, or quote the expression where that is not short."""
    from qflow.core import cron_fields, cron_words

    fields = cron_fields.read(cron.expression)
    if interval := cron_words.interval(fields):
        return interval
    text = cron_words.times(fields) or f'cron "{" ".join(cron.expression.split())}"'
    return f"{text} ({cron.tz})"


def _check_zone(name: str, expression: str) -> None:
    try:
        if not isinstance(name, str) or name == "localtime":  # differs from host to host
            raise ValueError(name)
        _zone(name)
    except (KeyError, ValueError, OSError):  # what zoneinfo raises for names it cannot load
        reason = f"unknown tz {name!r}; {_zone_remedy(name)}"
        from qflow.core import cron_fields

        raise cron_fields.refusal(expression, reason) from None


def _zone_remedy(name: object) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    known = {zone.lower(): zone for zone in sorted(available_timezones() - {"localtime"})}
    if not known:
        return "this system has no time zones: pip install tzdata"
    close = get_close_matches(str(name).lower().replace(" ", "_"), known, n=1)
    example = known[close[0]] if close else "Europe/Berlin"
    return f'write an IANA zone such as tz="{example}"'


@lru_cache(maxsize=1_024)
def _zone(name: str) -> tzinfo:
    if name == "UTC":  # also works where no time zones are installed
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _offset(zone: tzinfo, second: int) -> int:
    """Return how many seconds local time is ahead of UTC at this moment."""
    return _seconds(datetime.fromtimestamp(second, zone).utcoffset())


def _wall_offset(zone: tzinfo, local: int, fold: int = 0) -> int:
    """Return the offset for a local reading; where skipped or repeated, `fold` 0 is the old one."""
    wall = (_EPOCH + timedelta(seconds=local)).replace(tzinfo=zone, fold=fold)
    return _seconds(wall.utcoffset())


def _seconds(offset: timedelta | None) -> int:
    return int(offset.total_seconds()) if offset else 0


def _reading(zone: tzinfo, local: int) -> int:
    """Return the moment of a local reading: its first, or the end of the gap that swallows it."""
    second = local - _wall_offset(zone, local)
    if second + _offset(zone, second) == local:
        return second
    return _changes(zone, local - _wall_offset(zone, local, fold=1), second)[0]


def _changes(zone: tzinfo, start: int, end: int) -> list[int]:
    """Return the moments in (start, end] at which the offset changes, oldest first.

    Looks once a day: no zone changes its offset twice within one.
    """
    changes: list[int] = []
    if zone is UTC:
        return changes
    before = _offset(zone, start)
    while start < end:
        stop = min(start + _DAY, end)
        after = _offset(zone, stop)
        if after != before:
            changes.append(_first_change(zone, start, stop))
        start, before = stop, after
    return changes


def _first_change(zone: tzinfo, start: int, stop: int) -> int:
    before = _offset(zone, start)
    while stop - start > 1:
        middle = (start + stop) // 2
        if _offset(zone, middle) == before:
            start = middle
        else:
            stop = middle
    return stop
