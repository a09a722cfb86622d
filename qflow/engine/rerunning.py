"""A run again: for the same event, for other data, or from one of its steps on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from qflow.core import codec
from qflow.core.event import MAX_EVENT_BYTES, to_text
from qflow.core.ids import ulid
from qflow.core.sealed import sealed_by
from qflow.engine.starting import terms_text
from qflow.errors import QflowError
from qflow.store import again, directory
from qflow.store.again import Anew, Kept
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import run as execute
from qflow.store.stream import Keep, Start

_OK: Final = '{"ok":'


class Change(NamedTuple):
    """What is to be different: the event's data, or the input of a step; None for nothing."""

    data: Mapping[str, Any] | None = None
    step: str = ""
    input: Any = None


class Rerunner:
    """Creates runs from earlier ones; knows the functions as they were published when it was made."""

    def __init__(self, redis: Redis, keys: Keys, keep: Keep) -> None:
        self._redis = redis
        self._keys = keys
        self._keep = keep
        _, self._specs = directory.functions(redis, keys)

    def rerun(self, old: str, change: Change = Change(), kept: Sequence[Kept] = ()) -> str:  # noqa: B008  # immutable
        """Create a run from `old`, with the steps in `kept` finished already; return its id.

        Raises QflowError where the run is gone or nobody publishes its function any more.
        """
        function, event = self._redis.call("HMGET", self._keys.run(old), "fn", "event")
        if function is None:
            raise QflowError(f"run {old} is gone: its record has expired or was discarded")
        self._check_open(old, kept)
        spec = self._specs.get(function.decode())
        if spec is None:
            raise _unpublished(old, function.decode())
        text = event.decode("utf-8", "surrogatepass")
        changed = "" if change.data is None else with_data(text, change.data)
        seconds, micros = self._redis.call("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        run = ulid(now_ms, os.urandom(10))
        terms = terms_text(spec, changed or text, now_ms)
        start = Start(spec["id"], run, spec["version"], spec["app"], terms)
        edit = json.dumps({"step": change.step, "data": change.input}) if change.step else ""
        call = again.again(self._keys, Anew(old, start, changed, edit), self._keep, kept)
        reply = execute(self._redis, call)
        if reply == again.UNPUBLISHED:
            raise _unpublished(old, spec["id"])
        if reply == again.UNKNOWN:
            raise QflowError(f"run {old} is gone: its record has expired or was discarded")
        return run

    def _check_open(self, old: str, kept: Sequence[Kept]) -> None:
        """Refuse encrypted results: they are bound to their run, and no other could read them."""
        if kept:
            names = [each.step for each in kept]
            texts = self._redis.call("HMGET", self._keys.steps(old), *names)
            for name, text in zip(names, texts, strict=True):
                if text:
                    check_open(old, name, text.decode("utf-8", "replace"))


def check_open(run: str, step: str, text: str) -> None:
    """Refuse to keep a result for another run that was encoded for this one; raise QflowError."""
    if by := sealed_by(text[len(_OK) : -1]):
        raise QflowError(
            f"the result of step {step!r} was encoded by {by!r} for run {run} only and "
            "cannot be kept: run it again from its beginning, without --from"
        )


def with_data(event: str, data: Mapping[str, Any]) -> str:
    """Return an event's text with other data."""
    own = json.loads(event)
    text = codec.encode(dict(data), "the new data")
    codec.check_size(text, MAX_EVENT_BYTES, "the new data")
    return to_text(own["id"], own["name"], own["ts"], own.get("v", ""), text)


def _unpublished(run: str, function: str) -> QflowError:
    return QflowError(
        f"run {run} is of function {function!r}, which no worker publishes any more: start a worker "
        "that has it"
    )
