"""An event that cancels runs: which ones, by the rules that published functions have for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import hiredis

from qflow.core.cancel import rule_key
from qflow.core.event import as_mapping
from qflow.core.trigger import names_matching
from qflow.core.waits import CONDITION
from qflow.engine.intake import Accepted
from qflow.errors import ExpressionError
from qflow.store import ending
from qflow.store.keys import Keys
from qflow.store.redis import Redis, refusal
from qflow.store.script import run_all
from qflow.store.stream import Keep
from qflow.telemetry import emit

Rules = dict[str, list[tuple[str, Mapping[str, Any]]]]
_PAGE: Final = 100


def rules_by_name(specs: Iterable[Mapping[str, Any]]) -> Rules:
    """Return the rules of published functions by the event name (or wildcard) that they are for."""
    found: Rules = {}
    for spec in specs:
        for rule in spec.get("cancel_on", ()):
            found.setdefault(rule["event"], []).append((spec["id"], rule))
    return found


def cancel_matching(redis: Redis, keys: Keys, rules: Rules, item: Accepted, keep: Keep) -> None:
    """Cancel the runs that an event cancels. Repeating it for the same event changes nothing."""
    named = [found for name in names_matching(item.name) for found in rules.get(name, ())]
    if not named:
        return
    event = json.loads(item.text)
    keyed = ((rule_key(function, rule, event), rule) for function, rule in named)
    matches = [
        (ending.Match(key, rule["timeout_ms"], not rule["when"]), rule)
        for key, rule in keyed
        if key
    ]
    if not matches:
        return
    reason = f"event {item.name} {item.event_id}"
    found = ending.matched(redis, keys, item.entry.id, reason, [match for match, _ in matches])
    runs: list[str] = []
    for candidates, (_, rule) in zip(found, matches, strict=True):
        when = rule["when"]
        runs += _meeting(redis, keys, candidates, when, item) if when else candidates
    for ended in cancel_all(redis, keys, runs, reason, keep):
        if ended.status == "":
            tell_cancelled(ended.function, ended.run, reason)


def _meeting(
    redis: Redis, keys: Keys, candidates: Sequence[str], when: str, item: Accepted
) -> Iterator[str]:
    """Yield the runs for which a rule's condition holds; one that cannot be evaluated does not."""
    from qflow.core import expression  # a router without such rules never loads it

    condition = expression.compile(when, CONDITION)
    later = as_mapping(item.text)
    for at in range(0, len(candidates), _PAGE):
        page = candidates[at : at + _PAGE]
        events = redis.pipeline([("HGET", keys.run(run), "event") for run in page])
        for run, event in zip(page, events, strict=True):
            with suppress(ExpressionError):
                own = as_mapping(event.decode()) if event else None
                if own and condition.truthy({"event": own, "async": later}, item.entry_ms):
                    yield run


class Ended(NamedTuple):
    """What became of a run that was to be cancelled: `status` is "" where it now is, otherwise how it
    had ended before, and "unknown" where there is no such run."""

    run: str
    function: str
    status: str


def cancel_all(
    redis: Redis, keys: Keys, runs: Sequence[str], reason: str, keep: Keep
) -> Iterator[Ended]:
    """Cancel runs, many in a round trip, and yield what became of each."""
    request = os.urandom(8).hex()
    for at in range(0, len(runs), _PAGE):
        page = runs[at : at + _PAGE]
        calls = [ending.cancel(keys, ending.Cancel(run, request, reason), keep) for run in page]
        for run, reply in zip(page, run_all(redis, calls), strict=True):
            if isinstance(reply, hiredis.ReplyError):
                raise refusal(reply, redis.target.shown)
            name = reply[1].decode() if len(reply) > 1 else "unknown"
            cancelled = reply[0] == ending.CANCELLED
            yield Ended(run, name if cancelled else "", "" if cancelled else name)


def tell_cancelled(function: str, run: str, reason: str) -> None:
    """Tell telemetry of a run that was cancelled."""
    emit("run.ended", function=function, run=run, status="cancelled", seconds=0.0, error=reason)
