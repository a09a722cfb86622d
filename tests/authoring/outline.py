"""A spec in outline, one line a step, to compare what was understood with what was meant."""

from __future__ import annotations

from typing import Any

from qflow.authoring.actions import Action, Call, Copy, Custom, Fetch, Mail, Put, Slack, Write
from qflow.authoring.spec import (
    Approve,
    Emit,
    Invoke,
    Loop,
    OnEvent,
    Run,
    Schedule,
    Sleep,
    Step,
    Wait,
    WorkflowSpec,
)


def outline(spec: WorkflowSpec) -> dict[str, Any]:
    """Return what a sentence of the evaluation says of a spec."""
    return {
        "triggers": [_trigger(trigger) for trigger in spec.triggers],
        "steps": [_step(step) for step in spec.every_step()],
        "retries": spec.retries,
        "finish": spec.finish,
        "flow": spec.flow.model_dump(exclude_none=True, exclude_unset=True),
        "cancel_on": [f"{each.event} {each.match}" for each in spec.cancel_on],
        "on_failure": [_action(action) for action in spec.on_failure],
        "emitters": [f"{each.event} {each.table}" for each in spec.emitters],
        "asks": sorted(f"{each.id}{'!' if each.needed else ''}" for each in spec.questions),
    }


def expected(sentence: dict[str, Any]) -> dict[str, Any]:
    """Return the outline that a sentence should come to: what it does not say is not there."""
    nothing: dict[str, Any] = {
        "triggers": [], "steps": [], "retries": None, "finish": None, "flow": {},
        "cancel_on": [], "on_failure": [], "emitters": [], "asks": [],
    }  # fmt: skip
    said = {name: value for name, value in sentence.items() if name != "words"}
    return {**nothing, **said, "asks": sorted(said.get("asks", []))}


def _trigger(trigger: Schedule | OnEvent) -> str:
    if isinstance(trigger, Schedule):
        return f"{trigger.cron} {trigger.tz}"
    return trigger.event + (f" if {trigger.when}" if trigger.when else "")


def _step(step: Step) -> str:
    match step:
        case Run() | Loop():
            return _action(step.action)
        case Sleep():
            return f"sleep {step.length}"
        case Wait():
            otherwise = f"else {step.missed}"
            return f"wait {' '.join(step.events)} {step.timeout} {otherwise}"
        case Approve():
            return f"approval {step.assignee} {step.timeout}"
        case Invoke():
            return f"invoke {step.function}"
        case Emit():
            return f"emit {step.event}"
    return step.kind


def _action(action: Action) -> str:
    match action:
        case Fetch():
            return f"fetch {_source(action)}"
        case Copy():
            target = action.target
            return f"copy {_source(action.source)} to {target.service} {target.what}"
        case Slack():
            return " ".join(filter(None, ("slack", action.channel, _of(action.of))))
        case Mail():
            return " ".join(filter(None, ("mail", action.to, _of(action.of))))
        case Call():
            return f"call {action.name}"
        case Put():
            return " ".join(filter(None, ("put", action.folder, _of(action.of))))
        case Write():
            return f"write {action.table}"
        case Custom():
            return f"custom {action.words}"


def _source(fetch: Fetch) -> str:
    named = (
        fetch.name if fetch.service == "http" and fetch.name not in ("API", "Ticket API") else ""
    )
    return " ".join(filter(None, (fetch.service, named, fetch.only, fetch.what)))


def _of(id: str) -> str:
    return f"of {id}" if id else ""
