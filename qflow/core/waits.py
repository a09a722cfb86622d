"""What a step may wait for outside its run: events, signals, approvals, other runs, times.

Each is a plain mapping (`spec`) that the engine hands to Redis; `digest` is how events find those
who wait for their name and value without looking at anybody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qflow.core.durations import Duration, to_ms
from qflow.core.event import MAX_NAME, RESERVED, check_name
from qflow.core.memo import error_text, value_text
from qflow.errors import DefinitionError, EventError

Spec = dict[str, Any]

INVOKED: Final = "qflow/function.invoked"
"""The name of the event that a function started directly is given."""

CONDITION: Final = ("event", "async")
"""The variables of the condition of a wait, or of a rule that cancels: the run's own event, and the later
one."""

_PATH: Final = re.compile(r"(data(\.[A-Za-z_][A-Za-z0-9_]*)+|id|name|v)")
_MISSING: Final = object()
_NOTHING: Final = value_text("null")


@dataclass(frozen=True, slots=True)
class Approval:
    """How a person decided: `by` whom, `at` what time (ms since the epoch), with what `note`."""

    approved: bool
    by: str
    note: str
    at: int


def digest(name: str, path: str, value: object = None) -> str:
    """Return what stands for events called `name` that have `value` at `path` ("": all of them)."""
    from hashlib import sha1  # loads OpenSSL: producers wait for nothing

    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "\x00".join((name, path, json.dumps(value) if path else ""))
    return sha1(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def look_up(event: Mapping[str, Any], path: str) -> Any:
    """Return what stands at `path` of an event, None where nothing does."""
    value: Any = event
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def is_comparable(value: object) -> bool:
    """Tell whether events can be matched by this value."""
    return isinstance(value, (str, int, float))


def sleep_spec(step: str, delay_ms: int, due_ms: int) -> Spec:
    """Return what a sleep beside other steps waits for."""
    return {
        "kind": "sleep",
        "late": _NOTHING,
        "delay_ms": delay_ms,
        "due_ms": due_ms,
        "note": json.dumps({"t": "sleep", "id": step}),
    }


def names_of(event: object, where: str) -> tuple[str, ...]:
    """Return the event names that a wait asks for; refuse anything else."""
    names = (event,) if isinstance(event, str) else event
    if not isinstance(names, Sequence) or not names:
        raise DefinitionError(
            f'{where}: event= must be a name such as "order/paid", or a list of them'
        )
    for name in names:
        try:
            check_name(name)
        except EventError as error:
            raise DefinitionError(f"{where}: {error}") from None
        if "*" in name:
            raise DefinitionError(
                f"{where}: {name!r} has a wildcard; a wait names its events in full"
            )
        if name.startswith(RESERVED):
            raise DefinitionError(f"{where}: names beginning {RESERVED!r} are qflow's own")
    return tuple(dict.fromkeys(names))


def event_spec(
    where: str,
    event: Mapping[str, Any],
    names: Sequence[str],
    match: str | None,
    when: str | None,
    timeout: Duration | None,
) -> Spec:
    """Return what a wait for an event asks for: later events of these names whose value at `match`
    is that of the run's own `event`, and on which `when` holds."""
    path, value = "", None
    if match is not None:
        if not isinstance(match, str) or not _PATH.fullmatch(match):
            raise DefinitionError(
                f'{where}: match={match!r} is no path into an event, such as "data.order_id"'
            )
        path, value = match, look_up(event, match)
        if not is_comparable(value):
            problem = "has nothing there" if value is None else f"has {type(value).__name__} there"
            raise DefinitionError(
                f"{where}: match={match!r} compares with the run's own event "
                f"{event.get('name')!r}, which {problem}; name a path to a text or a number"
            )
    digests = [digest(name, path, value) for name in names]
    spec = _waiting("event", where, timeout, _NOTHING)
    spec.update(names=list(names), path=path, value=value, digests=digests)
    if when is not None:
        from qflow.core import expression  # brings the parser of CEL along

        expression.compile(when, CONDITION, f"{where}: when")
        spec["when"] = when
    return spec


def signal_spec(where: str, name: str, timeout: Duration | None) -> Spec:
    """Return what a wait for a signal asks for."""
    check_signal(name, where)
    spec = _waiting("signal", where, timeout, _NOTHING)
    taken = f"another step waits for signal {name!r} already; a signal has one waiter at a time"
    spec.update(signal=name, refused=_error("SignalTaken", taken))
    return spec


def approval_spec(where: str, title: str, assignee: str, timeout: Duration | None) -> Spec:
    """Return what a wait for a person asks for: a signal that is named once the step has begun."""
    spec = signal_spec(where, "approval", timeout)
    spec["approval"] = {"title": title, "assignee": assignee}
    return spec


def approval_signal(run: str, step_hash: str) -> str:
    """Return the name of the signal that decides an approval."""
    return f"approval/{run}/{step_hash}"


def check_signal(name: object, where: str) -> None:
    """Refuse what cannot be a signal's name."""
    if not isinstance(name, str) or not name or len(name) > MAX_NAME or not name.isprintable():
        raise DefinitionError(
            f"{where}: a signal's name is printable text of 1 to {MAX_NAME} characters, not {name!r:.60}"
        )


def child_spec(where: str, fn: str, data: str, timeout: Duration | None) -> Spec:
    """Return what an invocation waits for: the end of a run of `fn` with `data` (JSON text)."""
    late = f"timed out waiting for the invoked run of {fn!r}; it goes on by itself"
    unknown = f"no function {fn!r} is published: is a worker with it running, is the id right?"
    spec = _waiting("child", where, timeout, _error("StepTimeout", late))
    spec.update(fn=fn, data=data, refused=_error("UnknownFunction", unknown))
    return spec


def _waiting(kind: str, where: str, timeout: Duration | None, late: str) -> Spec:
    delay_ms = 0 if timeout is None else max(1, to_ms(timeout, f"{where}: timeout"))
    return {"kind": kind, "late": late, "delay_ms": delay_ms, "due_ms": 0}


def _error(name: str, message: str) -> str:
    return error_text({"name": name, "message": message, "traceback": ""})
