"""The no-stuck-run audit: every unfinished run has a queued job, a live lease, a timer or a pause, or waits
for open steps, each of which has one of these or a waiter.

Each run is looked at in one transaction. The system is live, so what looks wrong is looked at again,
and only what stays exactly as it was is reported: a run that moved on meanwhile is fine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from qflow.core.status import UNFINISHED
from qflow.read import backing
from qflow.read.backing import RESCUE, Record
from qflow.read.snapshot import clock_ms, scored, text
from qflow.store.keys import Keys
from qflow.store.redis import Command, Redis

PAUSE_S: Final = 0.5
"""Between two looks: longer than a stock RQ worker takes from popping a job to beginning it."""

_PAGE: Final = 500
_QUEUE_PAGE: Final = 10_000
_OVERLAP: Final = 1_000
_INDEXED: Final = 10_000
_RECHECKED: Final = 50
_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class Stuck:
    """A run that breaks an invariant: how, and the lane record it was seen with."""

    run: str
    function: str
    status: str
    lane: str
    why: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit looked at and found. `rescues` counts runs of workers whose lease lapsed just
    now, which the rescuer will return to the queue."""

    checked: int
    queued_jobs: int
    rescues: int
    findings: tuple[Stuck, ...]
    took_ms: int

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "checked": self.checked,
            "queued_jobs": self.queued_jobs,
            "rescues": self.rescues,
            "took_ms": self.took_ms,
            "findings": [
                {
                    "run": s.run,
                    "function": s.function,
                    "status": s.status,
                    "lane": s.lane,
                    "why": s.why,
                }
                for s in self.findings
            ],
        }


class _Listed(NamedTuple):
    """A run and the status whose index has it, or should have it."""

    run: str
    status: str


class _Seen(NamedTuple):
    """A run as one transaction found it: its records, with the replies to what keeps each going.

    `moved` where a record changed just before that.
    """

    listed: _Listed
    moved: bool
    function: str
    status: str
    in_status_index: bool
    in_function_index: bool
    records: tuple[Record, ...]
    replies: tuple[tuple[Any, ...], ...]
    queue: frozenset[str] | None

    @property
    def lane(self) -> str:
        """All records, as they are told and compared."""
        return " ".join(each.record for each in self.records)


def audit(redis: Redis, keys: Keys, pause_s: float = PAUSE_S) -> Audit:
    """Check every unfinished run, and that records and indexes agree; writes nothing.

    `pause_s` is waited for between looks at what seems wrong.
    """
    began = time.monotonic()
    now_ms = clock_ms(redis.call("TIME"))
    queue = _queue(redis, keys)
    seen: set[str] = set()
    suspects: list[_Seen] = []
    rescues = 0
    for page in _everything(redis, keys, seen):
        for found in _look(redis, keys, page, queue):
            why = _judge(found, now_ms)
            rescues += why == RESCUE
            if why not in ("", RESCUE):
                suspects.append(found)
        seen.update(listed.run for listed in page if listed.status in UNFINISHED)
    findings = _confirmed(redis, keys, suspects, pause_s) if suspects else []
    took_ms = round((time.monotonic() - began) * 1000)
    return Audit(len(seen), len(queue), rescues, tuple(findings), took_ms)


def _everything(redis: Redis, keys: Keys, seen: set[str]) -> Iterator[list[_Listed]]:
    """Yield pages of the unfinished runs, then of the newest runs of all that are not `seen` yet."""
    for status in UNFINISHED:
        for runs in _pages(redis, keys.by_status(status)):
            yield [_Listed(run, status) for run in runs]
    newest = [text(raw) for raw in redis.call("ZREVRANGE", keys.runs, 0, _INDEXED - 1)]
    rest = [run for run in newest if run not in seen]
    for at in range(0, len(rest), _PAGE):
        runs = rest[at : at + _PAGE]
        statuses = redis.pipeline([("HGET", keys.run(run), "status") for run in runs])
        yield [_Listed(run, text(s)) for run, s in zip(runs, statuses, strict=True) if s]


def _pages(redis: Redis, index: str) -> Iterator[list[str]]:
    """Yield an index oldest first, by score, so that what leaves it meanwhile hides nothing."""
    since, seen = "-inf", set[str]()
    while True:
        limit = _PAGE + len(seen)
        places = scored(
            redis.call("ZRANGEBYSCORE", index, since, "+inf", "WITHSCORES", "LIMIT", 0, limit)
        )
        fresh = [run for run, _ in places if run not in seen]
        if fresh:
            yield fresh
        if len(places) < limit:
            return
        last = places[-1][1]
        since, seen = f"{last:.0f}", {run for run, score in places if score == last}


def _queue(redis: Redis, keys: Keys) -> frozenset[str]:
    """Return the ids of the queued jobs. Pages overlap, since workers take from the front."""
    jobs: set[bytes] = set()
    at = 0
    while True:
        page = redis.call("LRANGE", keys.queue, at, at + _QUEUE_PAGE - 1)
        jobs.update(page)
        if len(page) < _QUEUE_PAGE:
            return frozenset(map(text, jobs))
        at += _QUEUE_PAGE - _OVERLAP


def _look(
    redis: Redis, keys: Keys, listed: Sequence[_Listed], queue: frozenset[str] | None
) -> list[_Seen]:
    """Look at runs, each in a transaction of its own; without `queue`, Redis searches its list."""
    raw = redis.pipeline([command for run, _ in listed for command in _reading(keys, run)])
    first = [
        (text(raw[i][1]), backing.records(raw[i], raw[i + 1], raw[i + 2]))
        for i in range(0, len(raw), 3)
    ]
    commands: list[Command] = []
    ends: list[int] = []
    for (run, status), (function, records) in zip(listed, first, strict=True):
        commands += [
            ("MULTI",),
            *_reading(keys, run),
            ("ZSCORE", keys.by_status(status), run),
            ("ZSCORE", keys.by_function(function, status), run),
            *(
                command
                for each in records
                for command in backing.ask(keys, run, each, deep=queue is None)
            ),
            ("EXEC",),
        ]
        ends.append(len(commands) - 1)
    replies = redis.pipeline(commands)
    return [
        _seen(keys, item, known, replies[end], queue)
        for item, known, end in zip(listed, first, ends, strict=True)
    ]


def _reading(keys: Keys, run: str) -> list[Command]:
    return [
        ("HMGET", keys.run(run), "lane", "fn", "status"),
        ("HGETALL", keys.open(run)),
        ("HGETALL", keys.waits(run)),
    ]


def _seen(
    keys: Keys,
    listed: _Listed,
    first: tuple[str, tuple[Record, ...]],
    replies: list[Any],
    queue: frozenset[str] | None,
) -> _Seen:
    run, opened, waits, by_status, by_function, *rest = replies
    function, records = first
    shares = []
    for each in records:
        count = len(backing.ask(keys, listed.run, each, deep=queue is None))
        shares.append(tuple(rest[:count]))
        rest = rest[count:]
    return _Seen(
        listed,
        backing.records(run, opened, waits) != records,
        function,
        text(run[2]),
        by_status is not None,
        by_function is not None,
        records,
        tuple(shares),
        queue,
    )


def _judge(seen: _Seen, now_ms: int) -> str:
    """Say what is wrong with a run, "" where nothing is, `RESCUE` where the rescuer sees to it."""
    listed = seen.listed.status
    if seen.moved:
        return ""
    if not seen.status:
        return f"listed as {listed}, but its record is gone" if seen.in_status_index else ""
    if seen.status != listed:
        return (
            f"listed as {listed}, but its record says {seen.status}" if seen.in_status_index else ""
        )
    if not seen.in_status_index:
        return f"is {listed}, but the index of {listed} runs lacks it"
    if not seen.in_function_index:
        return f"is {listed}, but the index of its function's {listed} runs lacks it"
    return _unbacked(seen, now_ms) if listed in UNFINISHED else ""


def _unbacked(seen: _Seen, now_ms: int) -> str:
    """Say why an unfinished run will not go on, "" where it will."""
    if len(seen.records) == 1 and seen.records[0].lane.state == "w":
        return "waits for open steps, but has none"
    rescue = ""
    for each, replies in zip(seen.records, seen.replies, strict=True):
        why = backing.judge(seen.listed.run, each, replies, seen.queue)
        why = why or backing.lapse(each, replies, now_ms)
        if why == RESCUE:
            rescue = why
        elif why:
            return f"step {each.lane.step!r} {why}" if each.is_open else why
    return rescue


def _confirmed(redis: Redis, keys: Keys, suspects: list[_Seen], pause_s: float) -> list[Stuck]:
    """Look at suspects again, and return those that stayed as they were every time.

    The pauses let a job through that a stock RQ worker has taken but not yet begun.
    """
    found = {suspect.listed: (suspect, "") for suspect in suspects}
    for look in range(_LOOKS):
        if look:
            time.sleep(pause_s)
        now_ms = clock_ms(redis.call("TIME"))
        again: dict[_Listed, tuple[_Seen, str]] = {}
        listed = list(found)
        for at in range(0, len(listed), _RECHECKED):  # LPOS walks the queue: not too many at once
            for seen in _look(redis, keys, listed[at : at + _RECHECKED], None):
                why = _judge(seen, now_ms)
                if why not in ("", RESCUE) and seen.lane == found[seen.listed][0].lane:
                    again[seen.listed] = (seen, why)
        found = again
        if not found:
            break
    return [
        Stuck(listed.run, seen.function, listed.status, seen.lane, why)
        for listed, (seen, why) in sorted(found.items())
    ]
