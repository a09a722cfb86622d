"""What a worker tells Redis of the steps that it opens beside the main lane."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence

from qflow.core.event import to_text
from qflow.core.ids import step_hash, ulid
from qflow.core.outcome import Plan
from qflow.core.replay import Frame
from qflow.core.waits import INVOKED
from qflow.engine.lookback import Lookback
from qflow.engine.starting import terms_text
from qflow.store.open import Opening

INLINE = frozenset(("run", "send"))
"""Kinds of steps that the main lane itself can carry out, one after the other."""


def opening(frame: Frame, plan: Plan) -> Opening:
    """Return what opens a step."""
    spec = dict(plan.spec)
    if plan.kind == "run":
        attempt, deaths = frame.inherit(plan.step)
        spec = {"kind": "run", "attempt": attempt, "deaths": deaths}
    elif plan.kind == "child":
        now_ms = frame.now_ms()
        child_id = f"invoke:{frame.run_id}:{step_hash(plan.step)}"
        spec["child"] = ulid(now_ms, os.urandom(10))
        spec["note"] = json.dumps({**json.loads(spec["note"]), "run": spec["child"]})
        spec["event"] = to_text(child_id, INVOKED, now_ms, "", spec.pop("data"))
    return Opening(plan.step, spec)


def dropping(step: str) -> Opening:
    """Return what gives an open step up."""
    return Opening(step, {"kind": "drop"})


def prepare(
    lookback: Lookback, openings: Sequence[Opening], fields: Mapping[str, str]
) -> list[Opening]:
    """Make these ready to be opened: invoked runs learn what may end them, waits for events look back.
    Return those waits."""
    for each in openings:
        if each.spec["kind"] == "child":
            spec = lookback.published(each.spec["fn"])
            each.spec["terms"] = terms_text(spec, each.spec["event"]) if spec else ""
    events = [each for each in openings if each.spec["kind"] == "event"]
    for each in events:
        lookback.prepare(each.spec, fields)
    return events


def examine(
    lookback: Lookback,
    openings: Iterable[Opening],
    run_id: str,
    fields: Mapping[str, str],
    heard: list[bytes],
) -> None:
    """Look at the events that `fork` names for one of these waits."""
    hashed, *entries = heard
    for each in openings:
        if step_hash(each.step) == hashed.decode():
            lookback.examine(each.spec, run_id, fields, entries)
