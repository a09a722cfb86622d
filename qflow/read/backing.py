"""What keeps a lane or an open step going: the commands that ask for it, and what their replies mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from qflow.core.ids import job_id, step_hash
from qflow.read.snapshot import text
from qflow.store.keys import Keys
from qflow.store.redis import Command
from qflow.store.run import Lane

RESCUE_MS: Final = 60_000
"""A lapsed lease is the rescuer's work; after this long it is reported that nobody did it."""

RESCUE: Final = "rescue"


class Record(NamedTuple):
    """A lane's record, or an open step's, and what the latter waits for (JSON, "" for nothing)."""

    record: str
    is_open: bool
    function: str
    wait: str = ""

    @property
    def lane(self) -> Lane:
        """The record, read."""
        return Lane.parse(self.record)

    def job(self, run: str) -> str:
        """Return the id of its job."""
        return job_id(run, self.lane.step, self.lane.token)

    def member(self, run: str) -> str:
        """Return how its worker's set of lanes lists it."""
        return f"{run}:{step_hash(self.lane.step)}" if self.is_open else run


def ask(keys: Keys, run: str, of: Record, *, deep: bool) -> list[Command]:
    """Return the commands that ask for what keeps `of` going; with `deep` Redis searches its queue."""
    lane = of.lane
    if lane.state == "s":
        member = of.member(run)
        return [
            ("ZSCORE", keys.leases, lane.worker),
            ("SISMEMBER", keys.lanes(lane.worker), member),
        ]
    if lane.state == "d":
        return [("ZSCORE", keys.scheduled, of.job(run))]
    if lane.state == "h":
        return [("HGET", keys.paused, of.function)]
    if lane.state == "q" and deep:
        return [("LPOS", keys.queue, of.job(run))]
    if lane.state == "w" and of.is_open:
        return [("ZSCORE", keys.scheduled, of.job(run)), *_waiters(keys, of.member(run), of.wait)]
    return []


def _waiters(keys: Keys, member: str, wait: str) -> list[Command]:
    spec: dict[str, Any] = json.loads(wait or "{}")
    key = keys.conditional if "when" in spec else keys.waiters
    commands: list[Command] = [("ZSCORE", key(each), member) for each in spec.get("digests", ())]
    if "signal" in spec:
        commands.append(("GET", keys.signal(spec["signal"])))
    if "child" in spec:
        commands.append(("HGET", keys.run(spec["child"]), "parent"))
    return commands


def judge(run: str, of: Record, replies: Sequence[Any], queue: frozenset[str] | None) -> str:
    """Say why this does not go on, "" where it does; for a lease that it lapsed, and when."""
    lane = of.lane
    if lane.state == "q":
        queued = of.job(run) in queue if queue is not None else replies[0] is not None
        return "" if queued else "waits for a job that is not in the queue"
    if lane.state == "d":
        return "" if replies[0] is not None else "waits for a timer that is not set"
    if lane.state == "h":
        return "" if replies[0] is not None else "is held back by a pause that is over"
    if lane.state == "w" and of.is_open:
        backed = any(reply is not None for reply in replies)
        return "" if backed else "waits for something, but nothing would tell it"
    if lane.state == "w":
        return ""
    if lane.state != "s":
        return "has not ended, but nobody is to continue it"
    if replies[0] is None:
        return f"is held by worker {lane.worker}, which has no lease"
    return "" if replies[1] == 1 else f"is held by worker {lane.worker}, which does not list it"


def lapse(of: Record, replies: Sequence[Any], now_ms: int) -> str:
    """Say that a worker's lease lapsed: `RESCUE` where that was just now, "" where it did not."""
    if of.lane.state != "s":
        return ""
    lapsed_ms = now_ms - float(replies[0])
    if lapsed_ms > RESCUE_MS:
        return (
            f"is held by worker {of.lane.worker}, whose lease lapsed {lapsed_ms / 1000:.0f} s ago; "
            "start `qflow scheduler`, whose rescuer returns it"
        )
    return RESCUE if lapsed_ms > 0 else ""


def records(
    run: Sequence[bytes | None], flat: Sequence[bytes], waits: Sequence[bytes]
) -> tuple[Record, ...]:
    """Return the records of a run, of whose hash the lane and fn are given: its lane first, then its
    open steps by step."""
    lane, function = text(run[0]), text(run[1])
    wanted = {text(waits[i]): text(waits[i + 1]) for i in range(0, len(waits), 2)}
    opened = [
        Record(text(flat[i + 1]), True, function, wanted.get(text(flat[i]), ""))
        for i in range(0, len(flat), 2)
    ]
    return (Record(lane, False, function), *sorted(opened)) if lane else ()
