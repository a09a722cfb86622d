"""Start one function directly, without an event on the stream."""

from __future__ import annotations

from typing import Final

from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.script import Call
from qflow.store.stream import Keep, Start

STARTED: Final = 1
STARTED_BEFORE: Final = 0
UNPUBLISHED: Final = -1


def invoke(keys: Keys, start: Start, event: tuple[str, str], keep: Keep) -> Call:
    """Create the run `start` for an event (its id and text), if its function is published."""
    return Call(
        "invoke",
        (keys.functions, keys.rq_queues, keys.wake, keys.scheduled),
        (keys.ns, RQ, *start, *event, JOB_DATA, *keep),
    )
