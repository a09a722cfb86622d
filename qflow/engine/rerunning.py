"""A run again: for the same event, for other data, or from one of its steps on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qflow.core import codec
from qflow.core.event import MAX_EVENT_BYTES, to_text
from qflow.core.ids import step_hash, ulid
from qflow.core.memo import moved_step
from qflow.core.middleware import Hooks
from qflow.core.origin import CHILD
from qflow.engine.starting import terms_text
from qflow.errors import QflowError, SealedError
from qflow.store import again, directory
from qflow.store.again import Anew, Kept
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import run as execute
from qflow.store.stream import Keep, Start


class Change(NamedTuple):
    """What is to be different: the event's data, or the input of a step; None for nothing."""

    data: Mapping[str, Any] | None = None
    step: str = ""
    input: Any = None


class Rerunner:
    """Creates runs from earlier ones; knows the functions as they were published when it was made.

    `hooks` decode and encode results that are bound to their run, where they are to be kept.
    """

    def __init__(self, redis: Redis, keys: Keys, keep: Keep, hooks: Hooks | None = None) -> None:
        self._redis = redis
        self._keys = keys
        self._keep = keep
        self._hooks = hooks
        _, self._specs = directory.functions(redis, keys)

    def rerun(
        self,
        old: str,
        change: Change = Change(),  # noqa: B008  # immutable
        kept: Sequence[Kept] = (),
        as_run: str = "",
    ) -> str:
        """Create a run from `old`, with the steps in `kept` finished already; return its id, which is
        `as_run` where that is given: repeated with it, this creates one run.

        Raises QflowError where the run is gone or nobody publishes its function any more.
        """
        function, event = self._redis.call("HMGET", self._keys.run(old), "fn", "event")
        if function is None:
            raise QflowError(f"run {old} is gone: its record has expired or was discarded")
        spec = self._specs.get(function.decode())
        if spec is None:
            raise _unpublished(old, function.decode())
        text = event.decode("utf-8", "surrogatepass")
        changed = "" if change.data is None else with_data(text, change.data)
        seconds, micros = self._redis.call("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        run = as_run or ulid(now_ms, os.urandom(10))
        kept = self._moved(old, run, kept)
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

    def _moved(self, old: str, new: str, kept: Sequence[Kept]) -> list[Kept]:
        """Return what is kept with the results encoded anew that are bound to the old run. Those that
        came from an invoked run are bound to that, in either."""
        if not kept:
            return []
        texts = self._redis.call("HMGET", self._keys.steps(old), *(each.step for each in kept))
        fields = [CHILD + step_hash(each.step) for each in kept]
        invoked = self._redis.call("HMGET", self._keys.run(old), *fields)
        moved = []
        for each, raw, child in zip(kept, texts, invoked, strict=True):
            text = "" if raw is None else raw.decode("utf-8", "surrogatepass")
            try:
                result = text if child else moved_step(self._hooks, text, each.step, old, new)
            except SealedError as error:
                raise QflowError(
                    f"what is kept of run {old} has to be encoded for the new one, which cannot be done "
                    f"here: {error}; or run it again from its beginning, without --from"
                ) from None
            moved.append(each if result == text else each._replace(result=result))
        return moved


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
