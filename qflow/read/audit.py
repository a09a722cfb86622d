"""The no-stuck-run audit: what continues every unfinished run is there: a queued job, a live lease, a
timer, a backlog place or a pause; and no slot is held for nothing.

Each run is looked at in one transaction. The system is live, so what looks wrong is looked at again,
and only what stays exactly as it was is reported: a run that moved on meanwhile is fine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from qflow.core.ids import job_id
from qflow.core.status import UNFINISHED
from qflow.read.limits import leaks
from qflow.read.snapshot import clock_ms, scored, text
from qflow.store.gate import groups_of
from qflow.store.keys import Keys
from qflow.store.redis import Command, Redis
from qflow.store.run import Lane

RESCUE_MS: Final = 60_000
"""A lapsed lease is the rescuer's work; after this long it is reported that nobody did it."""

PAUSE_S: Final = 0.5
"""Between two looks: longer than a stock RQ worker takes from popping a job to beginning it."""

_PAGE: Final = 500
_QUEUE_PAGE: Final = 10_000
_OVERLAP: Final = 1_000
_INDEXED: Final = 10_000
_RECHECKED: Final = 50
_LOOKS: Final = 3
_RESCUE: Final = "rescue"


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
    """A run as one transaction found it. `moved` where its lane changed just before that."""

    listed: _Listed
    moved: bool
    lane: str
    function: str
    status: str
    in_status_index: bool
    in_function_index: bool
    backed: Any
    held: bool


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
            rescues += why == _RESCUE
            if why not in ("", _RESCUE):
                suspects.append(found)
        seen.update(listed.run for listed in page if listed.status in UNFINISHED)
    findings = _confirmed(redis, keys, suspects, pause_s) if suspects else []
    findings += [Stuck(*found) for found in leaks(redis, keys, pause_s)]
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
    raw = redis.pipeline([("HMGET", keys.run(run), "lane", "fn", "flow") for run, _ in listed])
    first = [(text(record), text(function), text(flow)) for record, function, flow in raw]
    commands: list[Command] = []
    ends: list[int] = []
    for (run, status), (record, function, flow) in zip(listed, first, strict=True):
        commands += [
            ("MULTI",),
            ("HMGET", keys.run(run), "lane", "status"),
            ("ZSCORE", keys.by_status(status), run),
            ("ZSCORE", keys.by_function(function, status), run),
            *_backing(keys, run, (record, function, flow), deep=queue is None),
            ("EXEC",),
        ]
        ends.append(len(commands) - 1)
    replies = redis.pipeline(commands)
    return [
        _seen(item, record, function, replies[end], queue)
        for item, (record, function, _), end in zip(listed, first, ends, strict=True)
    ]


def _backing(keys: Keys, run: str, known: tuple[str, str, str], *, deep: bool) -> list[Command]:
    """Return the commands that ask for what a lane says keeps the run going."""
    record, function, flow = known
    if not record:
        return []
    lane = Lane.parse(record)
    job = job_id(run, lane.step, lane.token)
    if lane.state == "s":
        return [("ZSCORE", keys.leases, lane.worker), ("SISMEMBER", keys.lanes(lane.worker), run)]
    if lane.state == "d":
        return [("ZSCORE", keys.scheduled, job)]
    if lane.state == "h":
        return [("HGET", keys.paused, function)]
    if lane.state == "b":
        return [("ZSCORE", keys.backlog(group), run) for group in groups_of(flow)]
    return [("LPOS", keys.queue, job)] if lane.state == "q" and deep else []


def _seen(
    listed: _Listed, record: str, function: str, replies: list[Any], queue: frozenset[str] | None
) -> _Seen:
    (lane_raw, status), by_status, by_function, *rest = replies
    backed = rest[0] if rest else None
    if record.startswith("b|") and backed is None:
        backed = rest[1]
    if queue is not None and record.startswith("q|"):
        lane = Lane.parse(record)
        backed = 1 if job_id(listed.run, lane.step, lane.token) in queue else None
    return _Seen(
        listed,
        text(lane_raw) != record,
        record,
        function,
        text(status),
        by_status is not None,
        by_function is not None,
        backed,
        len(rest) > 1 and rest[1] == 1,
    )


def _judge(seen: _Seen, now_ms: int) -> str:
    """Say what is wrong with a run, "" where nothing is, `_RESCUE` where the rescuer sees to it."""
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
    lane = Lane.parse(seen.lane)
    if lane.state == "q":
        return "" if seen.backed is not None else "waits for a job that is not in the queue"
    if lane.state == "d":
        return "" if seen.backed is not None else "waits for a timer that is not set"
    if lane.state == "b":
        return "" if seen.backed is not None else "waits for a slot, but is in no backlog"
    if lane.state == "h":
        return "" if seen.backed is not None else "is held back by a pause that is over"
    if lane.state != "s":
        return "has not ended, but nobody is to continue it"
    if seen.backed is None:
        return f"is held by worker {lane.worker}, which has no lease"
    if not seen.held:
        return f"is held by worker {lane.worker}, which does not list it"
    lapsed_ms = now_ms - float(seen.backed)
    if lapsed_ms > RESCUE_MS:
        return (
            f"is held by worker {lane.worker}, whose lease lapsed {lapsed_ms / 1000:.0f} s ago; "
            "start `qflow scheduler`, whose rescuer returns it"
        )
    return _RESCUE if lapsed_ms > 0 else ""


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
                if why not in ("", _RESCUE) and seen.lane == found[seen.listed][0].lane:
                    again[seen.listed] = (seen, why)
        found = again
        if not found:
            break
    return [
        Stuck(listed.run, seen.function, listed.status, seen.lane, why)
        for listed, (seen, why) in sorted(found.items())
    ]
