"""The router: events from the stream to runs of every function they match.

Does: reads the stream as a member of a consumer group, gives each event to the steps that wait for it,
starts the functions whose trigger's name and condition match it in one atomic script that also
acknowledges it, moves malformed entries
aside, takes over what a dead router had read. Any number side by side.
Options: batch size, idle time after which an entry is taken over.
Emits: event.received, event.rejected, event.unmatched, run.created, trigger.failed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import hiredis

from qflow import crashpoints
from qflow.core.event import as_mapping
from qflow.core.match import NOTHING, Matched, Triggers
from qflow.core.trigger import names_matching
from qflow.engine.cancelling import Rules, cancel_matching, rules_by_name
from qflow.engine.intake import Accepted, Rejected, read_entry
from qflow.engine.starting import starting
from qflow.services.delivery import Delivery
from qflow.services.service import Service
from qflow.store import directory, stream
from qflow.store.keys import Keys
from qflow.store.redis import Redis, refusal
from qflow.store.script import Call, run_all
from qflow.telemetry import emit

_BATCH: Final = 200
_BLOCK_MS: Final = 1000
_STALE: Final = -1
_HOLD_S: Final = 0.05


@dataclass(frozen=True)
class Catalogue:
    """The published functions as the router needs them."""

    version: str
    triggers: Triggers
    specs: dict[str, dict[str, Any]]
    rules: Rules

    def cancels(self, event: Accepted) -> bool:
        """Tell whether an event may cancel runs."""
        return bool(self.rules) and any(name in self.rules for name in names_matching(event.name))


class Router(Service):
    """Starts runs for events."""

    kind = "router"

    def __init__(self, redis: Redis, keys: Keys, keep: stream.Keep, takeover_ms: int) -> None:
        super().__init__()
        self._redis = redis
        self._keys = keys
        self._keep = keep
        self._takeover_ms = takeover_ms
        self._catalogue = Catalogue("0", Triggers({}), {}, {})
        self._told: set[str] = set()
        self._waits = Delivery(redis, keys, keep.ttl_s)
        self._ticks = 0
        self._unfinished = True

    def start(self) -> None:
        """Create the consumer group where there is none; look first at what an error left behind."""
        stream.ensure_group(self._redis, self._keys)
        self._announce()
        self._unfinished = True

    def tick(self) -> float:
        """Route one batch; hold the stream back while no function was ever published."""
        if self._catalogue.version == "0":
            self._refresh()
            if self._catalogue.version == "0":
                return _HOLD_S
        self._ticks += 1
        entries: list[stream.Entry] = []
        if self._unfinished:
            entries = stream.unfinished(self._redis, self._keys, self.name, _BATCH)
            self._unfinished = bool(entries)
        elif self._ticks % 20 == 1:
            entries = stream.reclaim(self._redis, self._keys, self.name, self._takeover_ms, _BATCH)
            self._announce()
        entries = entries or stream.read(self._redis, self._keys, self.name, _BATCH, _BLOCK_MS)
        if entries:
            crashpoints.reach("router.read")
            self._route(entries)
        else:
            self._ticks = 0  # an idle second is the time to look for what others left behind
        return 0

    def stop(self) -> None:
        """Leave the group: unacknowledged entries stay with it for others to take over."""
        pending = self._redis.call(
            "XPENDING", self._keys.events, stream.GROUP, "-", "+", 1, self.name
        )
        if not pending:
            self._redis.call("XGROUP", "DELCONSUMER", self._keys.events, stream.GROUP, self.name)

    def _refresh(self) -> None:
        version, specs = directory.functions(self._redis, self._keys)
        rules = rules_by_name(specs.values())
        self._catalogue = Catalogue(version, Triggers(specs), specs, rules)
        self._told.clear()
        self._waits.refresh()  # after the version, so that they are at least as new

    def _announce(self) -> None:
        facts = {"pid": os.getpid(), "name": self.name}
        directory.announce(self._redis, self._keys, self.kind, self.name, facts, 60)

    def _route(self, entries: list[stream.Entry]) -> None:
        """Start runs and cancel others, in the order of the stream: an event cancels what an earlier
        one has started."""
        emit("event.received", count=len(entries))
        waiting: list[Accepted | Rejected] = []
        for item in map(read_entry, entries):
            if isinstance(item, Accepted) and self._catalogue.cancels(item):
                self._write(waiting)
                cancel_matching(self._redis, self._keys, self._catalogue.rules, item, self._keep)
                waiting = []
            waiting.append(item)
        self._write(waiting)

    def _write(self, read: list[Accepted | Rejected]) -> None:
        while read:
            found = [self._match(item) for item in read]
            self._waits.give([item for item in read if isinstance(item, Accepted)])
            crashpoints.reach("router.given")
            replies = run_all(self._redis, list(map(self._call, read, found)))
            crashpoints.reach("router.routed")
            stale: list[Accepted] = []
            for item, matched, reply in zip(read, found, replies, strict=True):
                if isinstance(reply, hiredis.ReplyError):
                    raise refusal(reply, self._redis.target.shown)
                if isinstance(item, Rejected):
                    emit("event.rejected", entry=item.entry.id, reason=item.reason)
                elif reply == _STALE:
                    stale.append(item)
                else:
                    self._tell(item, matched, reply)
            if stale:
                self._refresh()
            read = list(stale)

    def _match(self, item: Accepted | Rejected) -> Matched:
        if isinstance(item, Rejected):
            return NOTHING
        return self._catalogue.triggers.matching(
            item.name, lambda: as_mapping(item.text), item.entry_ms, of=item.of
        )

    def _call(self, item: Accepted | Rejected, matched: Matched) -> Call:
        if isinstance(item, Rejected):
            return stream.reject(self._keys, item.entry, item.reason)
        specs = (self._catalogue.specs[function] for function in matched.functions)
        starts = [starting(spec, item.text, item.entry_ms) for spec in specs]
        event = (item.event_id, item.text)
        return stream.start(
            self._keys, item.entry.id, self._catalogue.version, event, self._keep, starts
        )

    def _tell(self, item: Accepted, matched: Matched, created: int) -> None:
        if not matched.functions:
            emit("event.unmatched", name=item.name, id=item.event_id, unmet=matched.unmet)
        elif created > 0:
            for function in matched.functions:
                emit("run.created", function=function, count=1)
        for function, error in matched.failed.items():
            if function not in self._told:  # once until functions are published again
                self._told.add(function)
                emit("trigger.failed", function=function, event=item.event_id, error=error)
