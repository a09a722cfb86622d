"""Answers to questions: text that somebody types becomes a value at the place that is open."""

from __future__ import annotations

import json
import re
from typing import Any

from qflow.authoring.actions import Copy, Fetch
from qflow.authoring.planner import clock, naming, zones
from qflow.authoring.planner.plan import checked
from qflow.authoring.planner.words import duration, name
from qflow.authoring.spec import Question, WorkflowSpec
from qflow.errors import UsageError


def standing(spec: WorkflowSpec, question: Question) -> str:
    """Return what holds while a question is open, as text: "" where nothing does."""
    if not question.sets or question.needed:
        return ""
    value = _at(spec.model_dump(), question.sets)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def answer(spec: WorkflowSpec, question: Question, text: str) -> WorkflowSpec:
    """Return the spec with a question answered; no text takes what holds already.

    Raises UsageError for an answer that makes no sense there, or none where one is needed.
    """
    flat = text.strip()
    made = spec.model_dump()
    made["questions"] = [q for q in made["questions"] if q["id"] != question.id]
    if not flat:
        if question.needed:
            raise UsageError(f"{question.id} needs an answer: {question.text}")
        return checked(made)
    if not question.sets:
        from qflow.authoring.planner.changes import change

        return change(checked(made), flat)
    *path, last = question.sets.strip("/").split("/")
    place = _at(made, "/" + "/".join(path)) if path else made
    value = _value(last, flat, place)
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    if last == "to":
        _readdress(made["steps"], standing(spec, question), value)
    if last == "service":
        place["name"] = place.get("name", "API")
    if last == "tz":
        for trigger in made["triggers"]:
            if trigger["kind"] == "schedule":
                trigger["tz"] = value
    return _followed(checked(made), spec)


def _value(field: str, text: str, place: Any) -> Any:
    """Return the value of a field that text means."""
    if field == "tz":
        zone = zones.zone_of(text)
        if not zone:
            raise UsageError(
                f"{text!r} is no time zone; name a city, or a zone such as Europe/Berlin"
            )
        return zone
    if field == "when":
        named = name(text.removeprefix("event.data."))
        return re.sub(r"^event\.data\.\w+", f"event.data.{named}", place["when"])
    if field == "cron":
        return _cron(text, place["cron"])
    if field in ("timeout", "length", "period"):
        return duration(text) if re.search(r"[a-z]", text) and duration(text) != "0s" else text
    if field == "to" and "@" not in text:
        return "{" + name(text.strip("{}").removeprefix("event.").removeprefix("data.")) + "}"
    if field == "match":
        return f"data.{text.removeprefix('event.').removeprefix('data.')}"
    if field in ("key", "idempotency") and str(place.get(field, "")).startswith("event."):
        return f"event.data.{text.removeprefix('event.').removeprefix('data.')}"
    if field in ("what", "folder", "table", "key"):
        return name(text)
    if field == "service":
        return _service(text)
    if field == "channel":
        return "#" + text.lstrip("#").lower()
    return text


def _service(text: str) -> str:
    flat = text.lower()
    for word, service in (("sales", "salesforce"), ("zendesk", "zendesk"), ("s3", "s3")):
        if word in flat:
            return service
    return "sql" if re.search(r"sql|database|postgres|table", flat) else "http"


def _cron(text: str, cron: str) -> str:
    """Return a cron expression: as it is, or with other times of day or other days."""
    if re.fullmatch(r"yes|ok|right|y", text, re.IGNORECASE):
        return cron
    if len(text.split()) == 5 and re.search(r"[*\d]", text.split(maxsplit=1)[0]):
        return text
    from qflow.authoring.planner.schedules import take_schedules
    from qflow.authoring.planner.words import Words

    fields = cron.split()
    if re.match(r"(?:at )?(?:\d|noon|midnight)", text, re.IGNORECASE) and "*" not in fields[:2]:
        times = clock.read_times(text.lower().removeprefix("at "))
        if len({minute for _, minute in times}) > 1:
            raise UsageError(f"{text!r}: times with different minutes need two schedules")
        hours = ",".join(str(hour) for hour, _ in times)
        return " ".join([str(times[0][1]), hours, *fields[2:]])
    words = Words(text if re.match(r"every|on ", text, re.IGNORECASE) else f"on {text}")
    if not take_schedules(words):
        raise UsageError(f"{text!r} is no schedule; say it as in “every Monday at 9”")
    made = words.triggers[0].cron.split()  # type: ignore[union-attr]
    kept = (
        fields[:2]
        if [question.id for question in words.questions if question.id == "time"]
        else made[:2]
    )
    return " ".join([*kept, *made[2:]])


def _readdress(steps: list[dict[str, Any]], old: str, new: str) -> None:
    """Send all mails that went to one address to another one."""
    for step in steps:
        if step.get("action", {}).get("to") == old:
            step["action"]["to"] = new
        _readdress(
            [*step.get("then", ()), *step.get("otherwise", ()), *step.get("branches", ())], old, new
        )


def _followed(spec: WorkflowSpec, before: WorkflowSpec) -> WorkflowSpec:
    """Return a spec in which what an answer makes true is true: its summary, tickets of Zendesk."""
    made = spec.model_dump()
    if before.steps and before.summary == naming.named(before.triggers, before.steps, "")[2]:
        made["summary"] = naming.named(spec.triggers, spec.steps, "")[2]
    for number, step in enumerate(spec.steps):
        action = getattr(step, "action", None)
        fetch = action.source if isinstance(action, Copy) else action
        if isinstance(fetch, Fetch) and fetch.service == "zendesk":
            where = made["steps"][number]["action"]
            where = where["source"] if isinstance(action, Copy) else where
            where["what"] = "tickets"
    return checked(made)


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.strip("/").split("/") if pointer.strip("/") else []:
        value = value[int(part)] if isinstance(value, list | tuple) else value.get(part)
    return value
