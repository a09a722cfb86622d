"""A function and its event: the run that is to be created, and what may end it from outside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from qflow.core.cancel import digest, rule_key
from qflow.core.event import as_mapping
from qflow.core.ids import ulid
from qflow.errors import QflowError
from qflow.store.stream import Start


def starting(spec: Mapping[str, Any], event: str, now_ms: int) -> Start:
    """Return the run to create of a published function for an event, given as a run keeps it."""
    terms = terms_of(spec, event)
    source = spec.get("idempotency")
    if source:
        terms["once"] = _value(source, event, now_ms)
    kept = {name: value for name, value in terms.items() if value}
    run = ulid(now_ms, os.urandom(10))
    return Start(spec["id"], run, spec["version"], spec["app"], json.dumps(kept) if kept else "")


def terms_of(spec: Mapping[str, Any], event: str) -> dict[str, Any]:
    """Return what may end a run of `event` from outside: its deadlines, and the rules it falls under."""
    terms: dict[str, Any] = dict(spec.get("timeouts", ()))
    rules = spec.get("cancel_on", ())
    if rules:
        cause = json.loads(event)
        terms["cancel"] = [key for rule in rules if (key := rule_key(spec["id"], rule, cause))]
    return terms


def terms_text(spec: Mapping[str, Any], event: str) -> str:
    """Return `terms_of` as scripts take them: JSON, or "" where nothing but the run itself ends it."""
    kept = {name: value for name, value in terms_of(spec, event).items() if value}
    return json.dumps(kept) if kept else ""


def _value(source: str, event: str, now_ms: int) -> str:
    """Return a digest of the idempotency value, "" where there is none: it was checked when the
    function was defined, and an event for which it gives an error is like one without."""
    from qflow.core import expression  # a process without such functions never loads it

    try:
        value = expression.compile(source).value({"event": as_mapping(event)}, now_ms)
    except QflowError:
        return ""
    return "" if value is None or value is False or value == "" else digest(value)
