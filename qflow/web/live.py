"""Server-sent events: what changed, so that a page fetches again what it shows, and nothing else.

Each open page asks twice a second for a handful of numbers that differ whenever its topic does; the
answer of one moment is shared by all pages that are open.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from qflow.core.ids import is_ulid
from qflow.errors import QflowError
from qflow.read.counts import count_commands
from qflow.read.snapshot import text
from qflow.store.redis import Command
from qflow.web.exchange import Site

LOOK_S: Final = 0.3
TICK_S: Final = 2.0
_RECONNECT_MS: Final = 1_000


class Live:
    """Looks at what changes, at most every `LOOK_S` whatever the number of pages."""

    def __init__(self, site: Site, closing: Callable[[], bool] = lambda: False) -> None:
        self._site = site
        self._closing = closing
        self._seen: dict[str, tuple[float, dict[str, str]]] = {}

    async def events(self, run: str = "") -> AsyncIterator[bytes]:
        """Yield an event for every change from now on: runs, events, run; and tick, lost and back.

        Ends by itself where the server is closing.
        """
        yield f"retry: {_RECONNECT_MS}\n\n".encode()
        before: dict[str, str] = {}
        lost, ticked = False, time.monotonic()
        while not self._closing():
            try:
                now = await run_in_threadpool(self._look, run if is_ulid(run) else "")
            except QflowError as error:
                if not lost:
                    yield _event("lost", {"error": str(error)})
                lost = True
            else:
                if lost:
                    yield _event("back", {})
                for topic, mark in now.items():
                    if lost or before.get(topic, mark) != mark:
                        yield _event(topic, {})
                before, lost = now, False
            if time.monotonic() - ticked >= TICK_S:
                ticked = time.monotonic()
                yield b": lost\n\n" if lost else _event("tick", {})
            await asyncio.sleep(LOOK_S)

    def _look(self, run: str) -> dict[str, str]:
        """Return a mark of each topic, different whenever the topic is."""
        looked, marks = self._seen.get(run, (0.0, {}))
        now = time.monotonic()
        if now - looked < LOOK_S / 2:
            return marks
        keys = self._site.keys
        commands: list[Command] = [
            ("ZREVRANGE", keys.runs, 0, 0),
            ("XREVRANGE", keys.events, "+", "-", "COUNT", 1),
            ("XLEN", keys.rejected),
            ("GET", keys.functions_version),
            *count_commands(keys),
        ]
        if run:
            commands += [
                ("XREVRANGE", keys.trace(run), "+", "-", "COUNT", 1),
                ("HMGET", keys.run(run), "status", "lane"),
            ]
        replies = self._site.redis.pipeline(commands)
        newest, event, rejected, functions = replies[:4]
        marks = {
            "runs": _mark(newest, replies[4:11]),
            "events": _mark(event and event[0][0], rejected),
            "functions": text(functions),
        }
        if run:
            marks["run"] = _mark(replies[11] and replies[11][0][0], replies[12])
        self._seen = (
            {run: (now, marks)} if len(self._seen) > 100 else {**self._seen, run: (now, marks)}
        )
        return marks


def _mark(*parts: Any) -> str:
    return repr(parts)


def _event(name: str, data: dict[str, str]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
