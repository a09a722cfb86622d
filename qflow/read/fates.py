"""What became of an event: for each function that it is for, its run, or why there is none of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from qflow.core.durations import from_ms
from qflow.core.trigger import names_matching
from qflow.read.events import EventRow
from qflow.read.snapshot import clock_ms, text
from qflow.store import directory
from qflow.store.gate import limits_of
from qflow.store.keys import Keys
from qflow.store.redis import Redis

Outcome = Literal[
    "started", "skipped", "cancelled", "delayed", "waiting", "held", "batched", "replaced", "ignored",
    "duplicate", "unmatched",
]  # fmt: skip

_FIELDS: Final = (
    "status", "reason", "event_id", "lane", "due", "batched", "merged", "taken", "flow", "held", "created",
    "started",
)  # fmt: skip
_HELD: Final = {"priority": "behind its time by its priority"}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an event for one function; `run` is "" where there is none."""

    function: str
    outcome: Outcome
    run: str
    status: str
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "function": self.function,
            "outcome": self.outcome,
            "run": self.run or None,
            "status": self.status or None,
            "why": self.why,
        }


class _Run(NamedTuple):
    id: str
    fields: dict[str, str]


def fates(redis: Redis, keys: Keys, event: EventRow) -> list[Fate]:
    """Return what became of an event, for every published function that it could start."""
    _, specs = directory.functions(redis, keys)
    event_id = event.id or event.entry
    names = sorted(specs)
    if not names:
        return []
    seen = redis.pipeline([("GET", keys.seen(name, event_id)) for name in names])
    now_ms = clock_ms(redis.call("TIME"))
    return list(
        _fates(redis, keys, event, _Scene(dict(zip(names, seen, strict=True)), specs, now_ms))
    )


class _Scene(NamedTuple):
    seen: Mapping[str, bytes | None]
    specs: Mapping[str, Mapping[str, Any]]
    now_ms: int


def _fates(redis: Redis, keys: Keys, event: EventRow, scene: _Scene) -> Iterator[Fate]:
    patterns = {*names_matching(event.name)}
    for name, raw in scene.seen.items():
        run = text(raw)
        if run:
            values = redis.call("HMGET", keys.run(run), *_FIELDS)
            fields = {field: text(value) for field, value in zip(_FIELDS, values, strict=True)}
            yield _told(name, event, _Run(run, fields), scene.now_ms)
        elif any(each.get("event") in patterns for each in scene.specs[name]["triggers"]):
            yield Fate(name, "unmatched", "", "", _unmatched(event, scene.specs[name]))


def _told(name: str, event: EventRow, run: _Run, now_ms: int) -> Fate:
    fields = run.fields
    status = fields["status"]
    if not status:
        return Fate(name, "started", run.id, "", "its record has expired")
    mine = fields["event_id"] == (event.id or event.entry)
    outcome: Outcome = "started"
    why = fields["reason"]
    if fields["batched"]:
        outcome, why = "batched", f"in a batch of {fields['batched']} events{_when(fields, now_ms)}"
    elif fields["merged"] and not mine:
        late = _place(event.entry) > float(fields["taken"]) + 0.0001
        outcome = "ignored" if late else "replaced"
        why = (
            "debounced: it came after a newer event"
            if late
            else "debounced: a newer event followed"
        )
    elif not mine:
        outcome, why = (
            "duplicate",
            "an event with the same idempotency value started the run before",
        )
    elif status in ("skipped", "cancelled"):
        outcome = "skipped" if status == "skipped" else "cancelled"
    elif fields["lane"].startswith("d|1|0|") and fields["due"]:
        outcome, why = "delayed", f"{_held(fields)}{_when(fields, now_ms)}"
    elif fields["lane"].startswith("b|"):
        steps, runs = limits_of(fields["flow"])
        outcome, why = "waiting", f"waits for a slot of {' and '.join([*runs, *steps])}"
    elif fields["lane"].startswith("h|"):
        outcome, why = "held", "its function is paused"
    elif fields["held"]:
        waited_ms = int(fields["started"] or now_ms) - int(fields["created"])
        why = f"{_held(fields)}, for {from_ms(waited_ms)}"
    return Fate(name, outcome, run.id, status, why)


def _held(fields: Mapping[str, str]) -> str:
    """Say what a run waited for before it could start."""
    kind = _HELD.get(fields["held"], fields["held"])
    others = int(fields["merged"] or 0)
    return kind + (f", in the place of {others} more" if others else "")


def _place(entry: str) -> float:
    """Return an entry's place in time as scripts do (terms.lua): ms, and 4,096th of one."""
    ms, _, number = entry.partition("-")
    return int(ms) + min(int(number), 4095) / 4096


def _when(fields: Mapping[str, str], now_ms: int) -> str:
    left_ms = int(fields["due"] or 0) - now_ms
    return f": starts in {from_ms(left_ms - left_ms % 100)}" if left_ms > 100 else ""


def _unmatched(event: EventRow, spec: Mapping[str, Any]) -> str:
    """Say why an event that a function listens for started nothing."""
    from qflow.core.event import as_mapping, to_text
    from qflow.core.explain import explain

    if not isinstance(event.data, dict):
        return "its data cannot be read here"
    import json

    own = event.as_event()
    known = as_mapping(to_text(own["id"], event.name, own["ts"], "", json.dumps(event.data)))
    explained = explain(spec, known, event.at)
    if explained.starts:
        return "not routed yet, or more than 24 hours ago, or published later"
    asked = [each for each in explained.verdicts if each.outcome in ("condition", "error")]
    return "; ".join(each.error or each.reason for each in asked)
