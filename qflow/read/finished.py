"""What of a run had finished before one of its steps: what a run from that step on begins with."""

from __future__ import annotations

import json
from typing import NamedTuple

from qflow.read.nearest import NotFound, nearest
from qflow.read.snapshot import pairs, text
from qflow.store.again import Kept
from qflow.store.keys import Keys
from qflow.store.redis import Redis

_TOLD = ("step", "retry", "sleep", "wait")


class Before(NamedTuple):
    """Steps that finished before `step`, in their order; `waits` where it calls no function."""

    step: str
    kept: tuple[Kept, ...]
    waits: bool


def before(redis: Redis, keys: Keys, run: str, step: str) -> Before:
    """Return what had finished before a step of a run did, or all that finished where it never did.

    Raises NotFound, listing the run's steps, where it has no step of that id.
    """
    kept: list[Kept] = []
    seen: dict[str, str] = {}
    found = False
    for _, flat in redis.call("XRANGE", keys.trace(run), "-", "+"):
        note = pairs(flat)["j"]
        told = json.loads(note)
        if told.pop("log", None):  # said in the old run, and sealed in its name
            note = json.dumps(told)
        if told["t"] not in _TOLD or not told.get("id"):
            continue
        seen.setdefault(told["id"], told["t"])
        if told["t"] == "step":
            found = found or told["id"] == step
            if not found:
                kept.append(Kept(told["id"], note))
    lane, opened = redis.pipeline([("HGET", keys.run(run), "lane"), ("HVALS", keys.open(run))])
    for record in (lane, *opened):
        if under_way := text(record).split("|", 5)[-1]:
            seen.setdefault(under_way, "step")
    if step not in seen:
        raise _unknown(run, step, list(seen))
    return Before(step, tuple(kept), seen.get(step) in ("sleep", "wait"))


def _unknown(run: str, step: str, steps: list[str]) -> NotFound:
    near = nearest(step, steps)
    hint = f"did you mean {near!r}? " if near else ""
    listed = ", ".join(repr(each) for each in steps) or "none yet"
    return NotFound(f"run {run} has no step {step!r}; {hint}its steps are {listed}")
