"""The data of the event that starts a workflow, as a typed model of the fields it uses."""

from __future__ import annotations

from typing import Final

from qflow.authoring.actions import Mail, Slack, Write
from qflow.authoring.render.text import fields
from qflow.authoring.spec import Branch, Loop, OnEvent, WorkflowSpec

PLAIN: Final = "dict[str, Any]"
_DEFAULTS: Final = {"name": 'str = "there"'}


def data_type(spec: WorkflowSpec) -> str:
    """Return the type of the event's data: a model where fields are used, "" where none come."""
    events = [trigger for trigger in spec.triggers if isinstance(trigger, OnEvent)]
    if not events:
        return ""
    if spec.by_schedule or not used(spec):
        return PLAIN
    first = events[0].event.rstrip("*/.")
    words = "".join(char if char.isalnum() else " " for char in first).split()
    return "".join(word.capitalize() for word in words)


def model(spec: WorkflowSpec) -> str:
    """Return the class of the event's data, "" where it needs none."""
    name = data_type(spec)
    if name in ("", PLAIN):
        return ""
    events = " or ".join(t.event for t in spec.triggers if isinstance(t, OnEvent))
    found = [f"    {field}: {kind}" for field, kind in used(spec).items()]
    required = [line for line in found if "=" not in line]
    lines = [
        f'class {name}(BaseModel, extra="allow"):',
        f'    """What this workflow needs of the data of {events}."""',
        "",
        *required,
        *(line for line in found if "=" in line),
    ]
    return "\n".join(lines)


def used(spec: WorkflowSpec) -> dict[str, str]:
    """Return the fields of the event's data that the workflow reads, and their types."""
    found: dict[str, str] = {}
    for step in spec.every_step():
        if isinstance(step, Branch) and step.condition.of == "event":
            value = step.condition.value
            kind = type(value).__name__ if isinstance(value, bool | str) else "float"
            found[step.condition.field] = kind
        if isinstance(step, Loop) and not step.of:
            found[step.items] = "list[dict[str, Any]]"
        action = getattr(step, "action", None)
        texts: list[str] = []
        if isinstance(action, Slack):
            texts = [action.text]
        elif isinstance(action, Mail):
            texts = [action.subject, action.text]
            for name in fields(action.to):
                found[name] = "str"
        elif isinstance(action, Write):
            found.setdefault(action.key, "Any")
        if isinstance(step, Loop):
            continue  # its texts are about an item
        for name in [name for text in texts for name in fields(text)]:
            found.setdefault(name, _DEFAULTS.get(name, "Any"))
    return found
