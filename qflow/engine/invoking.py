"""Starting one function directly, whatever its triggers say."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from qflow.core import codec
from qflow.core.event import MAX_EVENT_BYTES, to_text
from qflow.core.ids import ulid
from qflow.core.waits import INVOKED
from qflow.engine.starting import starting
from qflow.store import invoke, script
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep


def start(
    redis: Redis, keys: Keys, spec: Mapping[str, Any], values: Mapping[str, Any], keep: Keep
) -> str:
    """Start a published function with an event of these data; return the id of the run it has for it.

    Returns "" where no worker publishes the function any more.
    """
    function = spec["id"]
    now_ms = time.time_ns() // 1_000_000
    event_id = ulid(now_ms, os.urandom(10))
    what = f"the data for function {function!r}"
    payload = codec.encode(dict(values), what)
    codec.check_size(payload, MAX_EVENT_BYTES, what)
    event = event_id, to_text(event_id, INVOKED, now_ms, "", payload)
    made = starting(spec, event[1], now_ms)
    reply = script.run(redis, invoke.invoke(keys, made, event, keep))
    if reply == invoke.UNPUBLISHED:
        return ""
    if reply == invoke.STARTED_BEFORE:  # an event of the same idempotency value did
        found: bytes | None = redis.call("GET", keys.seen(function, event_id))
        return found.decode() if found else ""
    return made.run
