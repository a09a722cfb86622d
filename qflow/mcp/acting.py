"""Tools that act: send, invoke, cancel. Left out by `--readonly`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from qflow.core.event import Event
from qflow.core.ids import ulid
from qflow.engine import invoking
from qflow.engine.cancelling import cancel_all
from qflow.mcp.looking import Looking
from qflow.read import functions, runs
from qflow.read.nearest import unknown_function
from qflow.store.stream import Keep, append


@dataclass(frozen=True)
class Acting:
    """What the tools that change something work on."""

    looking: Looking
    keep: Keep

    def send_event(self, name: str, data: dict[str, Any], id: str = "") -> dict[str, Any]:
        """Send an event; every function whose trigger matches starts. The same `id` within 24 hours starts
        each function once."""
        now_ms = time.time_ns() // 1_000_000
        event: Event[Any] = Event(name, data, id or ulid(now_ms, os.urandom(10)), now_ms)
        [sent] = append(self.looking.redis, self.looking.keys, [event])
        return {"id": sent}

    def invoke(
        self, function: str, data: dict[str, Any] | None = None, wait_s: float = 20
    ) -> dict[str, Any]:
        """Start one function directly and wait for its end, `wait_s` seconds (a minute) at most; return the
        run as `get_run` does."""
        redis, keys = self.looking.redis, self.looking.keys
        view = functions.function(redis, keys, function)
        run = invoking.start(redis, keys, view.spec, data or {}, self.keep) if view.spec else ""
        if not run:
            raise unknown_function(function, (), keys.ns)
        return self.looking.wait_for_run(run, wait_s)

    def cancel_run(self, run: str) -> dict[str, Any]:
        """Cancel an unfinished run, for good; what a worker executes of it is interrupted."""
        redis, keys = self.looking.redis, self.looking.keys
        found = runs.find(redis, keys, run)
        [ended] = cancel_all(redis, keys, [found], "by an agent", self.keep)
        return {"id": found, "cancelled": not ended.status, "ended_before": ended.status or None}
