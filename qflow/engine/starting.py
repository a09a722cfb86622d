"""A function and its event: the run that is to be created, and what may end it from outside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from qflow.core.cancel import rule_key
from qflow.core.ids import ulid
from qflow.store.stream import Start


def starting(spec: Mapping[str, Any], event: str, now_ms: int) -> Start:
    """Return the run to create of a published function for an event, given as a run keeps it."""
    run = ulid(now_ms, os.urandom(10))
    return Start(spec["id"], run, spec["version"], spec["app"], _terms(spec, event))


def _terms(spec: Mapping[str, Any], event: str) -> str:
    terms: dict[str, Any] = dict(spec.get("timeouts", ()))
    rules = spec.get("cancel_on", ())
    if rules:
        cause = json.loads(event)
        keys = (rule_key(spec["id"], rule, cause) for rule in rules)
        terms["cancel"] = [key for key in keys if key]
    return json.dumps(terms) if any(terms.values()) else ""
