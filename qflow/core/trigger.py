"""Triggers: what starts a function, and which names an event can be matched by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from qflow.core.cron import Cron
from qflow.core.event import MAX_NAME, RESERVED, SYSTEM
from qflow.errors import DefinitionError

MAX_TRIGGERS: Final = 10
_SEPARATORS: Final = "/."


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Starts a function for every event named `event`, where the condition `when` holds for it.

    A trailing `*` right after `/` or `.` matches every name that begins so: `user/*`. `when` is an
    expression over the event, such as "event.data.plan == 'pro'".
    """

    event: str
    when: str | None = None

    def __post_init__(self) -> None:
        name = self.event
        if not isinstance(name, str) or not name:
            raise DefinitionError(
                f'a trigger needs an event name such as "user/created"; got {name!r}'
            )
        if len(name) > MAX_NAME:
            raise DefinitionError(f"trigger {name[:40]!r}… is longer than {MAX_NAME} characters")
        star = name.find("*")
        if star >= 0 and (star != len(name) - 1 or star == 0 or name[star - 1] not in _SEPARATORS):
            raise DefinitionError(
                f"trigger {name!r} can never match: `*` may only stand last, right after `/` or `.`, "
                'as in "user/*"'
            )
        if not name.isprintable() or name != name.strip():
            raise DefinitionError(
                f"trigger {name!r} can never match: remove blanks at its ends and unprintable characters"
            )
        if name.startswith(RESERVED) and name not in SYSTEM:
            raise DefinitionError(
                f"trigger {name!r} can never match: of qflow's own events only {', '.join(SYSTEM)} are sent"
            )

    def __str__(self) -> str:
        return repr(self.event) if self.when is None else f"{self.event!r} when {self.when!r}"

    def to_spec(self) -> dict[str, str]:
        """Return what a worker publishes of it."""
        return {"event": self.event} | ({} if self.when is None else {"when": self.when})


Trigger: TypeAlias = EventTrigger | Cron


def parse_triggers(value: object, where: str) -> tuple[Trigger, ...]:
    """Return the triggers that `trigger=` names: text, EventTrigger, Cron, or a list of them.

    Raises DefinitionError, naming `where`, for anything else, doubles and more than ten.
    """
    items: Sequence[object] = value if isinstance(value, (list, tuple)) else [value]
    if not items or items == [None]:
        raise DefinitionError(f'{where} has no trigger; give one, as in trigger="user/created"')
    if len(items) > MAX_TRIGGERS:
        raise DefinitionError(f"{where} has {len(items)} triggers; {MAX_TRIGGERS} at most")
    triggers: list[Trigger] = []
    for item in items:
        try:
            trigger = EventTrigger(item) if isinstance(item, str) else item
        except DefinitionError as error:
            raise DefinitionError(f"{where}: {error}") from None
        if not isinstance(trigger, (EventTrigger, Cron)):
            raise DefinitionError(
                f"{where}: a trigger is an event name, EventTrigger(…) or Cron(…), "
                f"not {type(item).__name__}"
            )
        if trigger in triggers:
            raise DefinitionError(f"{where}: trigger {trigger} stands twice; remove one")
        if isinstance(trigger, EventTrigger) and trigger.when is not None:
            _check_condition(trigger.when, f"{where}: trigger {trigger.event!r} when")
        triggers.append(trigger)
    return tuple(triggers)


def names_matching(event_name: str) -> list[str]:
    """Return every trigger name that matches `event_name`: itself and each trailing wildcard.

    `app/user.created` gives itself, `app/*` and `app/user.*` (the reference's rule: patterns are
    made from the event's name, so that matching is a few dictionary look-ups).
    """
    cuts = (i + 1 for i, char in enumerate(event_name) if char in _SEPARATORS)
    return [event_name, *(event_name[:cut] + "*" for cut in cuts)]


def _check_condition(when: str, where: str) -> None:
    from qflow.core import expression  # only functions with a condition pay for it

    expression.compile(when, where=where)
