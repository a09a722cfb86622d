"""Gives events to the steps that wait for them, before the router acknowledges their entries.

An event costs a look-up for each path by which anybody ever waited for its name, however many wait:
those who wait for another value are not touched. Only conditions (`when`) are evaluated one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import hiredis

from qflow.core.waits import digest, is_comparable, look_up
from qflow.engine.intake import Accepted
from qflow.engine.lookback import holds
from qflow.store import wait
from qflow.store.keys import Keys
from qflow.store.redis import Redis, refusal
from qflow.store.script import Call, run_all
from qflow.store.wait import Arrived

_PAGE: Final = 200


class Delivery:
    """The waits as a router knows them: by which paths steps wait for the events of a name."""

    def __init__(self, redis: Redis, keys: Keys, ttl_s: int) -> None:
        self._redis = redis
        self._keys = keys
        self._ttl_s = ttl_s
        self._paths: dict[str, tuple[str, ...]] = {}

    def refresh(self) -> None:
        """Read the paths anew."""
        self._paths = wait.paths(self._redis, self._keys)

    def give(self, events: Sequence[Accepted]) -> None:
        """Give events to all who wait for them, in their order; may be repeated."""
        due = [(event, by, 0) for event in events for by in self._digests(event)]
        while due:
            replies = self._run([self._call(event, by, offset) for event, by, offset in due])
            for (event, by, _), (_, offset, conditional) in zip(due, replies, strict=True):
                if offset < 0 and conditional:
                    self._give_conditionally(event, by)
            pages = zip(due, replies, strict=True)
            due = [(event, by, offset) for (event, by, _), (_, offset, _) in pages if offset >= 0]

    def _digests(self, event: Accepted) -> Iterator[str]:
        paths = self._paths.get(event.name)
        later = json.loads(event.text) if paths else {}
        for path in paths or ():
            value = look_up(later, path) if path else None
            if not path or is_comparable(value):
                yield digest(event.name, path, value)

    def _call(self, event: Accepted, by: str, offset: int) -> Call:
        arrived = Arrived(event.entry.id, event.event_id, event.text)
        return wait.deliver(self._keys, by, arrived, (offset, _PAGE), self._ttl_s)

    def _give_conditionally(self, event: Accepted, by: str) -> None:
        members = self._redis.call("ZRANGE", self._keys.conditional(by), 0, -1)
        later = json.loads(event.text) if members else {}
        for at in range(0, len(members), _PAGE):
            page = [raw.decode() for raw in members[at : at + _PAGE]]
            fitting = [
                wait.answer(
                    self._keys, member[:26], member, (event.event_id, event.text), self._ttl_s
                )
                for member, when, own in self._conditions(page)
                if holds(when, own, later)
            ]
            if fitting:
                self._run(fitting)

    def _conditions(self, members: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield each waiter's condition and its run's event."""
        commands = [
            command
            for run, _, step in (member.partition(":") for member in members)
            for command in (
                ("HGET", self._keys.waits(run), step),
                ("HGET", self._keys.run(run), "event"),
            )
        ]
        found = self._redis.pipeline(commands)
        for member, spec, own in zip(members, found[::2], found[1::2], strict=True):
            if spec is not None and own is not None:  # else settled meanwhile
                yield member, json.loads(spec)["when"], json.loads(own)

    def _run(self, calls: Sequence[Call]) -> list[Any]:
        replies = run_all(self._redis, calls)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise refusal(reply, self._redis.target.shown)
        return replies
