"""What ends a run from outside: events that cancel it, and deadlines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from qflow.core.durations import Duration, to_ms
from qflow.core.trigger import EventTrigger
from qflow.core.waits import CONDITION
from qflow.errors import DefinitionError

MAX_RULES: Final = 5
_PATH: Final = re.compile(r"(?:id|name|v|ts|data(?:\.[A-Za-z_]\w*)+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class CancelOn:
    """An event that cancels unfinished runs: those whose own event has the same value at `match`.

    `event` is a name, or one with a trailing wildcard, as in a trigger. `match` is a path such as
    "data.order_id", looked up in both events; without it every run of the function is meant. `when`
    is a condition besides, over the run's `event` and the later one, `async`. Only
    events that come after the run's own count, and only within `timeout` of it, where that is given.
    """

    event: str
    match: str = ""
    when: str | None = None
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        EventTrigger(self.event)
        if self.when is not None:
            from qflow.core import expression  # only rules with a condition pay for it

            expression.compile(self.when, CONDITION, f"CancelOn({self.event!r}) when")
        if self.match and not (isinstance(self.match, str) and _PATH.fullmatch(self.match)):
            raise DefinitionError(
                f'CancelOn({self.event!r}): match must be a path such as "data.order_id", '
                f"not {self.match!r}"
            )
        if self.timeout is not None:
            to_ms(self.timeout, f"CancelOn({self.event!r}, timeout=)")

    def to_spec(self) -> dict[str, Any]:
        """Return what a worker publishes of it."""
        what = f"CancelOn({self.event!r}, timeout=)"
        span_ms = 0 if self.timeout is None else to_ms(self.timeout, what)
        return {
            "event": self.event, "match": self.match, "when": self.when, "timeout_ms": span_ms,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of a run: `start` from its creation until a worker first enters it, waiting included;
    `finish` from then until its end. A run that misses one is cancelled at that moment."""

    start: Duration | None = None
    finish: Duration | None = None

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("finish", self.finish)):
            if value is not None and to_ms(value, f"Timeouts({name}=)") == 0:
                raise DefinitionError(f"Timeouts({name}=) must be longer than nothing")

    def to_spec(self) -> dict[str, int]:
        """Return what a worker publishes of it, in ms."""
        spans = {"start": self.start, "finish": self.finish}
        return {
            name: to_ms(value, f"Timeouts({name}=)")
            for name, value in spans.items()
            if value is not None
        }


def parse_cancel_on(value: object, where: str) -> list[CancelOn]:
    """Return the rules that `cancel_on=` names; raise DefinitionError for anything else."""
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    rules: list[CancelOn] = []
    for rule in given:
        if not isinstance(rule, CancelOn):
            raise DefinitionError(
                f"{where}: cancel_on takes CancelOn(…) or a list of them, not {type(rule).__name__}"
            )
        if rule in rules:
            raise DefinitionError(f"{where}: {rule} stands twice; remove one")
        rules.append(rule)
    if len(rules) > MAX_RULES:
        raise DefinitionError(f"{where} has {len(rules)} rules in cancel_on; {MAX_RULES} at most")
    return rules


def rule_key(function: str, rule: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Return the name under which runs of `event`, or an event that cancels them, stand for a rule.

    It is the same for both where both have the same value at the rule's path; "" where that is not
    there, since what is missing equals nothing.
    """
    value = ""
    if rule["match"]:
        found = _value_at(event, rule["match"])
        if found is None:
            return ""
        value = digest(found)
    return f"{function}:{digest([rule['event'], rule['match'], rule['when']])}:{value}"


def _value_at(event: Mapping[str, Any], path: str) -> Any:
    value: Any = event
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> Any:
    """Return a value so that numbers which are equal look equal."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def digest(value: Any) -> str:
    """Return a name for a JSON value, the same for values that are equal."""
    value = _plain(value)
    from hashlib import sha1  # loads OpenSSL: producers never come here

    return sha1(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
