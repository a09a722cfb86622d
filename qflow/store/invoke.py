"""Start one function directly, without an event on the stream."""

from __future__ import annotations

from typing import Final

from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.script import Call
from qflow.store.stream import Start

STARTED: Final = 1
STARTED_BEFORE: Final = 0
UNPUBLISHED: Final = -1


def invoke(keys: Keys, start: Start, event: tuple[str, str], ttl_s: int) -> Call:
    """Create the run `start` for an event (its id and text), if its function is published."""
    return Call(
        "invoke",
        (keys.functions, keys.rq_queues, keys.wake),
        (
            keys.ns, RQ, start.run, start.function, start.version, start.app, *event, JOB_DATA, ttl_s,
        ),
    )  # fmt: skip
