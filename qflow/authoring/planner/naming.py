"""What to call a workflow: its id, its name, and one sentence that says what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qflow.authoring.actions import Call, Copy, Custom, Fetch, Mail, Put, Slack, Write
from qflow.authoring.planner.words import slug
from qflow.authoring.spec import (
    Approve,
    Emit,
    Invoke,
    OnEvent,
    Parallel,
    Run,
    Schedule,
    Sleep,
    Step,
    Trigger,
    Wait,
)
from qflow.core.cron import Cron, describe

_MOST_IN_ID: Final = 60


def named(triggers: Sequence[Trigger], steps: Sequence[Step], words: str) -> tuple[str, str, str]:
    """Return id, name and summary."""
    deeds = [deed for step in steps if (deed := _deed(step))]
    main = next(
        (step for step in reversed(steps) if isinstance(step, Run | Invoke | Emit)), steps[0]
    )
    subject = _subject(triggers)
    title = _title(main, subject)
    doing = "; then ".join(deeds[:5]) or "nothing yet"
    summary = f"{_when(triggers)}: {doing}."
    if len(summary) > 200:
        summary = summary[:197].rsplit(" ", 1)[0] + "…"
    return slug(title)[:_MOST_IN_ID].strip("-"), title[:80], summary


def _when(triggers: Sequence[Trigger]) -> str:
    shown = []
    for trigger in triggers:
        if isinstance(trigger, Schedule):
            shown.append(describe(Cron(trigger.cron, trigger.tz)))
        elif isinstance(trigger, OnEvent):
            when = f" where {trigger.when}" if trigger.when else ""
            shown.append(f"for each {trigger.event}{when}")
    if not shown:
        return "When it is started"
    text = " and ".join(shown[:3])
    return text[0].upper() + text[1:]


def _subject(triggers: Sequence[Trigger]) -> str:
    return next(
        (t.event.replace("/", " ").rstrip("* .") for t in triggers if isinstance(t, OnEvent)), ""
    )


def _title(step: Step, subject: str) -> str:
    after = f" after {subject}" if subject else ""
    match step:
        case Run(action=Copy() as copy):
            shown = copy.source.what.replace("_", " ")
            return f"Sync {copy.source.name if copy.source.service == 'http' else copy.source.service.capitalize()} {shown}"
        case Run(action=Slack(of=of, text=text)) if of:
            return f"Slack summary of {text}"
        case Run(action=Slack(channel=channel)):
            return f"Tell {channel or 'Slack'}{after}"
        case Run(action=Mail(subject=mail)):
            return f"{mail.rstrip('?.')} mail{after}"
        case Run(action=Fetch(what=what)):
            return f"Fetch {what.replace('_', ' ')}"
        case Run(action=Call(name=name)):
            return f"Call {name}{after}"
        case Run(action=Put(folder=folder)):
            return f"Keep {folder.replace('_', ' ')} in S3"
        case Run(action=Write(table=table)):
            return f"Write {table.replace('_', ' ')}{after}"
        case Run(action=Custom(words=words)):
            return f"{' '.join(words.split()[:5])}{after}".capitalize()
        case Invoke(function=function):
            return f"Start {function}"
        case Emit(event=event):
            return f"Emit {event.replace('/', ' ')}{after}"
    return f"Wait{after}"


def _deed(step: Step) -> str:
    match step:
        case Run(action=action):
            return _doing(action)
        case Sleep(length=length):
            return f"wait {length}"
        case Wait(events=events, timeout=timeout, arrived=arrived):
            names = " or ".join(events)
            return f"wait {timeout} {'unless' if arrived == 'stop' else 'for'} {names}"
        case Approve():
            return "ask for approval"
        case Invoke(function=function):
            return f"run {function}"
        case Emit(event=event):
            return f"send {event}"
        case Parallel(branches=branches):
            return " and ".join(_doing(branch.action) for branch in branches)
    return ""


def _doing(action: object) -> str:
    match action:
        case Copy(source=source, target=target):
            places = {"sql": "the database", "s3": "S3", "http": target.name}
            shown = (
                source.service.capitalize()
                if source.service in ("salesforce", "zendesk")
                else source.name
            )
            shown = {"sql": "the database", "s3": "S3"}.get(source.service, shown)
            return f"copy {source.what.replace('_', ' ')} from {shown} to {places[target.service]}"
        case Fetch(what=what):
            return f"fetch {what.replace('_', ' ')}"
        case Slack(channel=channel):
            return f"post to {channel or 'Slack'}"
        case Mail(subject=subject):
            return f"send the mail “{subject}”"
        case Call(name=name):
            return f"call {name}"
        case Put():
            return "write to S3"
        case Write(table=table):
            return f"write a row of {table}"
        case Custom(words=words):
            return words
    return ""
