"""Changes by further words: "run it at 9 instead", "also post to #ops when it fails"."""

from __future__ import annotations

import re
from typing import Any

from qflow.authoring.planner import naming, refusals
from qflow.authoring.planner.plan import Reading, checked, placed
from qflow.authoring.planner.words import Words
from qflow.authoring.spec import OnEvent, Schedule, WorkflowSpec


def change(spec: WorkflowSpec, text: str) -> WorkflowSpec:
    """Return the spec as further words change it.

    Raises UsageError for words that change nothing, or that nothing is written for.
    """
    refusals.check(text)
    words = Words(text)
    words.subject = next(
        (t.event.partition("/")[0] for t in spec.triggers if isinstance(t, OnEvent)), ""
    )
    read = Reading(words)
    read.all()
    made = spec.model_dump()
    _triggers(made, spec, words)
    _steps(made, words)
    if read.limits.retries is not None:
        made["retries"] = read.limits.retries
    if read.limits.finish:
        made["finish"] = read.limits.finish
    made["flow"] = {**made["flow"], **read.limits.flow}
    made["cancel_on"] = [*made["cancel_on"], *read.limits.cancel_on]
    made["on_failure"] = [*made["on_failure"], *read.on_failure]
    made["emitters"] = [*made["emitters"], *read.emitters]
    if checked(made) == spec:
        raise refusals.refused(
            f"{text!r} changes nothing that is understood; say what should be different"
        )
    known = {question["id"] for question in made["questions"]}
    places = ("/flow", "/cancel_on")
    fresh = [q for q in words.questions if q.sets.startswith(places) and q.id not in known]
    made["questions"] = [*made["questions"], *(q.model_dump() for q in fresh)]
    spec = checked(made)
    made["summary"] = naming.named(spec.triggers, spec.steps, text)[2]
    made["understood"] = [*made["understood"], *words.understood]
    made["ignored"] = [*made["ignored"], *read.ignored]
    return checked(made)


def _triggers(made: dict[str, Any], spec: WorkflowSpec, words: Words) -> None:
    """Replace the triggers of the kinds that the words name; a zone that they do not name stays."""
    if not words.triggers:
        return
    zone = next((t.tz for t in spec.triggers if isinstance(t, Schedule)), "UTC")
    is_named = any(t.tz != "UTC" for t in words.triggers if isinstance(t, Schedule))
    is_named = is_named or bool(re.search(r"\b(?:utc|gmt)\b", words.text, re.IGNORECASE))
    asked = {question.id for question in words.questions}
    old = next((t.cron.split() for t in spec.triggers if isinstance(t, Schedule)), None)
    found = []
    for trigger in words.triggers:
        if isinstance(trigger, Schedule):
            cron, tz = trigger.cron, trigger.tz if is_named else zone
            fields = cron.split()
            if old and any("no other days" in each for each in words.assumed):
                fields[2:] = old[2:]  # "run it at 9 instead": on the days it has
            if old and "time" in asked and "*" not in old[1]:
                fields[:2] = old[:2]  # "on Mondays": at the time it has
            found.append(Schedule(cron=" ".join(fields), tz=tz))
        else:
            found.append(trigger)  # type: ignore[arg-type]
    kinds = {trigger.kind for trigger in found}
    kept = [] if len(kinds) > 1 else [t for t in spec.triggers if t.kind not in kinds]
    if not any(word in words.text.lower() for word in ("also", "and when", "too", "as well")):
        kept = []
    made["triggers"] = [each.model_dump() for each in [*kept, *found]]
    settled = ("start", "time", "zone", "day", "pace")
    made["questions"] = [q for q in made["questions"] if q["id"] not in settled]
    if zone == "UTC" and not is_named:  # nobody has said where nine o'clock is
        found_zone = [q.model_dump() for q in words.questions if q.id == "zone"]
        made["questions"] = [*made["questions"], *found_zone]


def _steps(made: dict[str, Any], words: Words) -> None:
    """Add the steps that the words name, at the end: or in the place of work that was open."""
    added = [step.model_dump() for _, step in sorted(words.steps, key=lambda each: each[0])]
    if not added:
        return
    kept = [step for step in made["steps"] if step["id"] != "work"]
    if len(kept) != len(made["steps"]):
        made["questions"] = [q for q in made["questions"] if q["id"] != "work"]
    taken = {step["id"] for step in kept}
    for step in added:
        number, wanted = 2, step["id"]
        while step["id"] in taken:
            step["id"] = f"{wanted}-{number}"
            number += 1
        taken.add(step["id"])
    made["steps"] = [*kept, *added]
    steps = checked({**made, "questions": []}).steps
    fresh = [q.model_dump() for q in placed(words.questions, steps) if q.sets.startswith("/steps")]
    known = {q["id"] for q in made["questions"]}
    made["questions"] = [*made["questions"], *(q for q in fresh if q["id"] not in known)]
