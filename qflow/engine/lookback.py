"""Waits look back: an event that came after the run began and before its step began to wait counts.

Routers note each event of a name that anybody ever waited for under its digest, in the same script
that gives it to those who wait (`deliver.lua`); the script that begins a wait (`fork.lua`) looks there
first and begins nothing where it finds an entry that the worker has not looked at. Either the event's
script comes first, and its note is found here, or the wait's, and the event finds the waiter: nothing
falls in between. What came before routers knew the path (the first waits of a new piece of code) is
read from the stream once, after `watch.lua` has told the routers: an event that a router handles later
is noted by it, for the script that acknowledges an entry refuses a router that knows less.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from qflow.core import waits
from qflow.core.waits import Spec
from qflow.engine.intake import Accepted, read_entry
from qflow.store import stream, wait
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import run, run_all

_PAGE: Final = 1000
_PAGES: Final = 100


class Lookback:
    """Looks back for the waits of a worker's runs; remembers since when routers index which paths."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._since: dict[tuple[str, str], int] = {}

    def published(self, function: str) -> dict[str, Any] | None:
        """Return what workers publish of a function that a step invokes, None where nobody does."""
        text = self._redis.call("HGET", self._keys.functions, function)
        spec: dict[str, Any] | None = json.loads(text) if text else None
        return spec

    def prepare(self, spec: Spec, fields: Mapping[str, str]) -> None:
        """Make a wait ready to be begun: its events are indexed, and it knows where its run began."""
        for name, digest in zip(spec["names"], spec["digests"], strict=True):
            place = name, spec["path"]
            since = self._since.get(place)
            if since is None:
                since = self._since[place] = run(self._redis, wait.watch(self._keys, *place))
            if "mark" in spec and _ms(fields["entry"]) <= since:
                self._index(spec, (name, digest), fields["entry"], since)
        if "mark" in spec:
            spec["mark"] = fields["entry"]

    def examine(
        self, spec: Spec, run_id: str, fields: Mapping[str, str], entries: Sequence[bytes]
    ) -> None:
        """Look at events that came before: the first that fits is found, else all are passed."""
        before = spec["mark"]
        spec.pop("found", None)
        ids = sorted({entry.decode() for entry in entries}, key=_order)
        for event in self._read(ids):
            taken = self._redis.call("HEXISTS", self._keys.waits(run_id), f"e:{event.event_id}")
            spec["mark"] = event.entry.id
            if event.event_id != fields["event_id"] and not taken and fits(spec, fields, event):
                spec.update(found=event.text, found_id=event.event_id, before=before)
                return
        spec["mark"] = ids[-1]

    def _read(self, ids: Sequence[str]) -> Iterator[Accepted]:
        for entry in stream.entries(self._redis, self._keys, ids):
            event = read_entry(entry)
            if isinstance(event, Accepted):
                yield event

    def _index(self, spec: Spec, place: tuple[str, str], after: str, until_ms: int) -> None:
        """Note the entries from `after` to `until_ms`, a hundred thousand at most."""
        name, digest = place
        fitting = partial(waits.digest, name, spec["path"])
        for _ in range(_PAGES):
            entries = stream.since(self._redis, self._keys, after, _PAGE)
            found = [
                event.entry.id
                for event in map(read_entry, (e for e in entries if _names(e, name)))
                if isinstance(event, Accepted)
                and fitting(waits.look_up(json.loads(event.text), spec["path"])) == digest
            ]
            if found:
                run_all(self._redis, [wait.index(self._keys, digest, found)])
            if len(entries) < _PAGE or _ms(entries[-1].id) > until_ms:
                return
            after = entries[-1].id


def fits(spec: Spec, fields: Mapping[str, str], event: Accepted) -> bool:
    """Tell whether a wait takes this event. An expression that raises on it does not hold."""
    later: dict[str, Any] = json.loads(event.text)
    if event.name not in spec["names"]:
        return False
    if spec["path"] and waits.look_up(later, spec["path"]) != spec["value"]:
        return False
    return "when" not in spec or holds(spec["when"], json.loads(fields["event"]), later)


def holds(when: str, own: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds on a later event; one that raises does not."""
    from qflow.core import expression  # brings the parser of CEL along

    try:
        compiled = expression.compile(when, waits.CONDITION)
        return compiled.truthy({"event": own, "async": later}, int(later["ts"]))
    except Exception:  # noqa: BLE001  # one wait's expression must not hold up another's
        return False


def _names(entry: stream.Entry, name: str) -> bool:
    return entry.fields.get(b"name") == name.encode()


def _ms(entry: str) -> int:
    return int(entry.partition("-")[0])


def _order(entry: str) -> tuple[int, int]:
    ms, _, sequence = entry.partition("-")
    return _ms(ms), int(sequence)
