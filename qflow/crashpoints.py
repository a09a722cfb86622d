"""Test hook: end this process, as SIGKILL would, at a named boundary.

`QFLOW_CRASH_AT=commit.before` kills at the first time that point is reached, `commit.before#3` at
the third. Unset, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from typing import Final

POINTS: Final = (
    "router.read",
    "router.given",
    "router.routed",
    "worker.claimed",
    "handler.entered",
    "step.before",
    "step.opened",
    "step.after",
    "commit.before",
    "commit.after",
    "fork.before",
    "fork.after",
    "finish.before",
    "finish.after",
    "scheduler.before_due",
    "scheduler.after_due",
    "scheduler.before_tick",
    "scheduler.after_tick",
    "rescuer.before",
    "rescuer.after",
)

_name, _, _count = os.environ.get("QFLOW_CRASH_AT", "").partition("#")
_left = int(_count or 1)


def reach(point: str) -> None:
    """Say that `point` is reached; ends the process if the environment asks for it."""
    global _left  # noqa: PLW0603  # one process-wide countdown is the purpose
    if point == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
