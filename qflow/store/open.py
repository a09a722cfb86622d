"""Open steps: those outside the main lane. They are forked, moved, settled and looked up here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from qflow.core.ids import step_hash
from qflow.store import failure
from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.redis import Redis
from qflow.store.run import Held, Lane, Written, pairs
from qflow.store.script import Call


class Opening(NamedTuple):
    """A step to open (or, of kind `drop`, to give up): what `fork` is told of it."""

    step: str
    spec: dict[str, Any]


class Suspension(NamedTuple):
    """What a handler knows where it is suspended: how many settled steps, and whether several steps
    of its run were ever open at once."""

    known: int
    grouped: bool


def fork(
    held: Held,
    lanes: tuple[Lane, Lane],
    written: Written,
    state: Suspension,
    openings: Sequence[Opening],
    keep_s: int,
) -> Call:
    """Open steps; where the second lane differs from the first, let go of the run until one is settled.

    `keep_s` is how long an ended run is kept, for one that a step invokes.
    """
    keys, run = held.keys, held.run
    lane, after = lanes
    flat = [
        part
        for step, spec in openings
        for part in (step_hash(step), step, json.dumps(spec, ensure_ascii=False))
    ]
    return Call(
        "fork",
        (*held.run_keys, keys.open(run), keys.waits(run)),
        (
            keys.ns, RQ, run, lane.worker, lane.record, after.record, held.job(lane), *written,
            JOB_DATA, held.ttl_s, keep_s, state.known, int(state.grouped), *flat,
        ),
    )  # fmt: skip


def settle(held: Held, lane: Lane, written: Written, exc_info: str) -> Call:
    """Keep what the job of an open step gave; `exc_info` is why it failed for good."""
    keys = held.keys
    return Call(
        "settle",
        (keys.run(held.run), keys.steps(held.run), keys.open(held.run)),
        (
            keys.ns, RQ, held.run, lane.worker, step_hash(lane.step), lane.record, *written,
            "failed" if exc_info else "finished", failure.packed(exc_info), held.ttl_s, JOB_DATA,
        ),
    )  # fmt: skip


def reopen(held: Held, lanes: tuple[Lane, Lane], exc_info: str, delay_ms: int, note: str) -> Call:
    """Set an open step's next attempt on a timer."""
    keys, (lane, after) = held.keys, lanes
    closed, opened = held.job(lane), held.job(after)
    return Call(
        "reopen",
        (
            keys.trace(held.run), keys.open(held.run), keys.job(closed), keys.job(opened), keys.wip,
            keys.failed, keys.scheduled,
        ),
        (
            keys.ns, RQ, held.run, lane.worker, step_hash(lane.step), lane.record, after.record,
            closed, opened, JOB_DATA, held.about(lane.step), held.ttl_s, failure.packed(exc_info),
            delay_ms, note,
        ),
    )  # fmt: skip


def release(held: Held, lanes: tuple[Lane, Lane], delay_ms: int) -> Call:
    """Put an open step's job back untouched, for `delay_ms`."""
    keys, (lane, after) = held.keys, lanes
    closed, opened = held.job(lane), held.job(after)
    return Call(
        "release",
        (keys.open(held.run), keys.job(closed), keys.job(opened), keys.wip, keys.scheduled),
        (
            keys.ns, RQ, held.run, lane.worker, step_hash(lane.step), lane.record, after.record,
            closed, opened, JOB_DATA, held.about(lane.step), held.ttl_s, delay_ms,
        ),
    )  # fmt: skip


def send(
    held: Held,
    lanes: tuple[Lane, Lane],
    written: Written,
    events: Sequence[Sequence[str]],
) -> Call:
    """Append a step's events and keep its result; go on in the handler."""
    keys, (lane, after) = held.keys, lanes
    closed, opened = held.job(lane), held.job(after)
    return Call(
        "send",
        (*held.run_keys, keys.job(closed), keys.job(opened), keys.wip, keys.finished, keys.events),
        (
            keys.ns, lane.worker, lane.record, after.record, closed, opened, *written, JOB_DATA,
            held.about(after.step), held.ttl_s, held.wip_ttl_s,
            *(json.dumps(list(event), ensure_ascii=False) for event in events),
        ),
    )  # fmt: skip


def resume(keys: Keys, run: str, lane: Lane, ttl_s: int) -> Call:
    """Queue the job that enters a suspended handler."""
    return Call("resume", (keys.run(run),), (keys.ns, RQ, run, lane.record, JOB_DATA, ttl_s))


class Known(NamedTuple):
    """A run at one moment: its hash, its finished steps, its open ones, the order of the settled."""

    fields: dict[str, str]
    steps: dict[str, str]
    open: frozenset[str]
    order: tuple[str, ...]


def load(keys: Keys, run: str) -> list[Sequence[Any]]:
    """Return the commands whose last reply `loaded` reads."""
    return [
        ("MULTI",),
        ("HGETALL", keys.run(run)),
        ("HGETALL", keys.steps(run)),
        ("HVALS", keys.open(run)),
        ("LRANGE", keys.order(run), 0, -1),
        ("EXEC",),
    ]


def loaded(reply: list[Any]) -> Known:
    """Read the transaction's reply."""
    fields, steps, records, order = reply
    return Known(
        pairs(fields),
        pairs(steps),
        frozenset(Lane.parse(_text(record)).step for record in records),
        tuple(map(_text, order)),
    )


def news(redis: Redis, keys: Keys, run: str, known: int) -> list[tuple[str, str]]:
    """Return the steps that were settled after the first `known`, each with its result, in order."""
    order = redis.call("LRANGE", keys.order(run), known, -1)
    texts = redis.call("HMGET", keys.steps(run), *order) if order else []
    return [(_text(step), _text(text)) for step, text in zip(order, texts, strict=True)]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
