"""What the calls of a step object ask for, checked: shared by the sync and the async one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from json import loads
from typing import Any

from qflow.core import codec, waits
from qflow.core.durations import Duration, until_ms
from qflow.core.event import MAX_EVENT_BYTES, Event, encode_data
from qflow.core.function import Function, check_id
from qflow.core.memo import MAX_STEPS
from qflow.core.middleware import Hooks
from qflow.core.outcome import Effects
from qflow.core.replay import Frame
from qflow.core.results import read_event, read_foreign, read_output
from qflow.errors import DefinitionError, UsageError


def sleep_until(frame: Frame, step_id: str, when: object) -> Effects:
    """Ask for a sleep until `when`."""
    where = f"step.sleep_until({step_id!r})"
    if not isinstance(when, datetime):
        raise UsageError(
            f"{where} needs an aware datetime, not {type(when).__name__}; "
            "for a duration use step.sleep"
        )
    return frame.sleep(step_id, 0, max(1, until_ms(when, frame.now_ms(), where)))


def event(
    frame: Frame,
    step_id: str,
    names: str | Sequence[str],
    match: str | None,
    condition: tuple[str | None, str],
    timeout: Duration | None,
) -> Effects:
    """Ask for a later event; `condition` is `when` and `since`."""
    where = f"step.wait_for_event({step_id!r})"
    when, since = condition

    def make() -> waits.Spec:
        if since not in ("run", "now"):
            raise DefinitionError(f'{where}: since must be "run" or "now", not {since!r}')
        own = loads(frame.origin.event_text)
        spec = waits.event_spec(where, own, waits.names_of(names, where), match, when, timeout)
        if since == "run":
            spec["mark"] = ""  # the engine knows where the run began
        return spec

    return frame.wait(step_id, make, read_event)


def signal(frame: Frame, step_id: str, name: str, timeout: Duration | None) -> Effects:
    """Ask for a signal."""
    where = f"step.wait_for_signal({step_id!r})"
    return frame.wait(step_id, lambda: waits.signal_spec(where, name, timeout), read_foreign)


def approval(
    frame: Frame, step_id: str, title: object, assignee: object, timeout: Duration | None
) -> Effects:
    """Ask for a person's approval."""
    where = f"step.approval({step_id!r})"

    def make() -> waits.Spec:
        if not isinstance(title, str) or not title:
            raise DefinitionError(f"{where}: title must say what is to be approved; got {title!r}")
        if not (assignee is None or isinstance(assignee, str)):
            raise DefinitionError(f"{where}: assignee must be a name, not {assignee!r}")
        return waits.approval_spec(where, title, assignee or "", timeout)

    return frame.wait(step_id, make, _read_approval)


def _read_approval(text: str, _hooks: Hooks | None) -> waits.Approval | None:
    told: Any = codec.decode_foreign(text)
    if told is None:
        return None
    return waits.Approval(bool(told["approved"]), told["by"], told["note"], told["at"])


def child(
    frame: Frame,
    step_id: str,
    function: Function[Any] | str,
    data: Mapping[str, Any] | None,
    timeout: Duration | None,
) -> Effects:
    """Ask for the output of another function's run."""
    where = f"step.invoke({step_id!r})"
    if isinstance(function, Function):
        fn, handler = function.id, function.handler
    elif isinstance(function, str):
        fn, handler = check_id(function), None
    else:
        raise DefinitionError(
            f"{where}: function must be a function of an app or its id, not {function!r:.60}"
        )
    if not (data is None or isinstance(data, Mapping)):
        raise DefinitionError(f"{where}: data must be a mapping, not {type(data).__name__}")

    def make() -> waits.Spec:
        what = f"{where}: the data"
        text = codec.encode(dict(data or {}), what)
        codec.check_size(text, MAX_EVENT_BYTES, what)
        return waits.child_spec(where, fn, text, timeout)

    return frame.wait(step_id, make, lambda output, _hooks: read_output(output, handler))


def events(frame: Frame, step_id: str, what: Event[Any] | Iterable[Event[Any]]) -> Effects:
    """Ask for events to be sent; all are checked before any is."""
    where = f"step.send_event({step_id!r})"
    given = [what] if isinstance(what, Event) else list(what)
    for one in given:
        if not isinstance(one, Event):
            raise DefinitionError(
                f"{where} takes Event(…) or a list of them, not {type(one).__name__}"
            )

    def entries(stem: str) -> tuple[list[str], ...]:
        texts = [(one, encode_data(one)) for one in given]
        now = frame.now_ms()
        filled = [
            (replace(one, id=one.id or f"{stem}-{n}", ts=one.ts or now), text)
            for n, (one, text) in enumerate(texts)
        ]
        return tuple(
            [
                "name",
                e.name,
                "data",
                text,
                "id",
                e.id,
                "ts",
                str(e.ts),
                *(("v", e.v) if e.v else ()),
            ]
            for e, text in filled
        )

    return frame.send(step_id, entries)


def branches(given: Sequence[object]) -> list[Callable[[], Any]]:
    """Return the branches of a parallel group; refuse what cannot be called."""
    for one in given:
        if not callable(one):
            raise DefinitionError(
                f"step.parallel takes functions without arguments, not {type(one).__name__}: "
                "write step.parallel(lambda: step.run(…), lambda: step.run(…))"
            )
    return list(given)  # type: ignore[arg-type]  # each has just been found callable


def limit(value: object, step_id: str) -> int:
    """Return how many steps of a map may be open at once."""
    if value is None:
        return MAX_STEPS
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DefinitionError(
            f"step.map({step_id!r}): limit must be a whole number from 1, not {value!r}"
        )
    return value
