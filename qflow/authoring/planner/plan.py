"""Words to spec."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

from qflow.authoring.actions import Custom, Fetch, Mail, Slack
from qflow.authoring.planner import (
    events,
    leftover,
    limits,
    messages,
    naming,
    records,
    refusals,
    schedules,
    waiting,
)
from qflow.authoring.planner.limits import Limits
from qflow.authoring.planner.words import Words
from qflow.authoring.spec import (
    Emitter,
    Question,
    Run,
    Step,
    WorkflowSpec,
)

_FAILURE: Final = r"(?:if|when(?:ever)?|should|in case|once) (?:it|this|that|the (?:run|workflow|job|sync|import)|anything|something|a (?:run|step)|everything) (?:fails|failed|goes wrong|breaks|errors)|on (?:failure|errors?)"


def plan(text: str) -> WorkflowSpec:
    """Return the spec of what the words ask for, with questions for what they leave open.

    Raises UsageError for words that nothing is written for, saying why.
    """
    refusals.check(text)
    words = Words(text)
    read = Reading(words)
    read.all()
    return read.spec()


class Reading:
    """One reading of words: the parts in their order, and the spec that they come to."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.emitters: list[Emitter] = []
        self.on_failure: list[Slack | Mail] = []
        self.limits = Limits()

    def all(self) -> None:
        """Read everything."""
        words = self.words
        self.limits = limits.take_limits(words)
        self._failures()
        records.take_calls(words)
        scheduled = schedules.take_schedules(words)
        if not scheduled or words.find(rf"\b(?:and|or) (?:also )?{events.WHEN} "):
            events.take_event(words, self.emitters)
        limits.take_cancels(words, self.limits)
        waiting.take_waits(words)
        records.take_copies(words)
        self._messages()
        records.take_fetches(words)
        records.take_saves(words)
        self._custom()

    def spec(self) -> WorkflowSpec:
        """Return the spec."""
        words = self.words
        steps = _joined([step for _, step in sorted(words.steps, key=lambda each: each[0])])
        if not words.triggers:
            words.ask("start", "What starts it: a schedule, or which event?", needed=True)
        if not steps:
            action = Custom(words="do the work")
            steps = [Run(id="work", action=action)]
            words.ask("work", "What should it do?", needed=True)
        self._unread()
        id, name, summary = naming.named(words.triggers, steps, words.text)
        made: dict[str, Any] = {
            "id": id,
            "name": name,
            "summary": summary,
            "triggers": words.triggers,
            "steps": steps,
            "retries": self.limits.retries,
            "finish": self.limits.finish,
            "flow": self.limits.flow,
            "cancel_on": self.limits.cancel_on,
            "on_failure": self.on_failure,
            "emitters": self.emitters,
            "questions": placed(words.questions, steps),
            "understood": words.understood,
            "assumed": words.assumed,
            "ignored": self.ignored,
        }
        return checked(made)

    def _failures(self) -> None:
        """Find what is said where a run fails: before or after its own words."""
        words = self.words
        found = words.find(
            rf"(?:^|,|;|\.|\band\b|\bbut\b|\balso\b)([^,;.\x1f]*?)\b({_FAILURE})\b,?([^,;.\x1f]*)"
        )
        if found is None:
            return
        before, after = found[1], found[3]
        lead = after if after.strip() else before
        inner = Words(lead)
        sent = messages.take_message(inner)
        if sent is None:
            return
        start = found.start(3) if after.strip() else found.start(1)
        words.mark(found.start(2), found.end(2))
        words.mark(start, start + len(lead))
        action = sent[1]
        self.on_failure.append(action.model_copy(update=_failed(action)))
        words.understood.append(f"{inner.understood[-1]}, where it fails")

    def _messages(self) -> None:
        words = self.words
        while (found := messages.take_message(words)) is not None:
            place, action, about = found
            of = ""
            if about:
                of, what = records.source_of(words, about, place)
                shown = what.replace("_", " ")
                fetch = next(s.action for _, s in words.steps if s.id == of and isinstance(s, Run))
                is_open = isinstance(fetch, Fetch) and fetch.only == "open"
                text = f"open {shown}" if is_open else shown
                action = action.model_copy(update={"of": of, "text": text})
            id = words.free_id(_message_id(action))
            words.step(place, Run(id=id, action=action))
            self._ask_about(id, action, of)

    def _ask_about(self, id: str, action: Slack | Mail, of: str) -> None:
        words = self.words
        if isinstance(action, Slack):
            if not action.channel:
                words.ask(
                    "channel",
                    "Which channel? Empty: the one of SLACK_WEBHOOK_URL.",
                    f"@{id}/action/channel",
                )
            if not of and words.text.count(action.text) == 0:
                words.ask("message", "What should the message say?", f"@{id}/action/text")
            return
        if action.to == "{email}":
            words.ask("address", "Which field of the event is the address?", f"@{id}/action/to")
        elif action.to.endswith(".invalid"):
            words.ask("address", "To which address?", f"@{id}/action/to", needed=True)
        if not of and action.text not in words.text:
            words.ask("mail", "What should the mail say?", f"@{id}/action/text")

    def _custom(self) -> None:
        """Find what no connector does, in what is left: a clause with words of its own."""
        words = self.words
        for found in re.finditer(r"[^,;.\x1f]+", words.left):
            for part in re.finditer(r"(?:(?!\band then\b|\bthen\b|\band\b).)+", found[0]):
                clause = leftover.stripped(part[0])
                if len(clause.split()) < 2 or not leftover.is_deed(clause):
                    continue
                place = found.start() + part.start()
                words.mark(place, place + len(part[0]))
                id = words.free_id("-".join(clause.split()[:5]))
                words.step(place, Run(id=id, action=Custom(words=clause[:200])))
                words.ask(
                    f"write-{id}"[:60].rstrip("-"),
                    f"No connector does “{clause[:120]}”. Set a model (docs/authoring.md), or write the "
                    f"function {id.replace('-', '_')} in the draft.",
                    f"@{id}/action/code",
                    needed=True,
                )

    @property
    def ignored(self) -> list[str]:
        """What nobody understood, run by run."""
        return leftover.unread(self.words.rest())

    def _unread(self) -> None:
        for number, part in enumerate(self.ignored):
            self.words.ask(
                f"unread-{number + 1}", f"What is meant by “{part[:120]}”? Empty: nothing."
            )


def checked(made: dict[str, Any]) -> WorkflowSpec:
    """Return the spec of these values; raise UsageError for what cannot be together."""
    try:
        return WorkflowSpec.model_validate(made)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        why = str(first["msg"]).removeprefix("Value error, ")
        raise refusals.refused(why) from None


def _joined(steps: Sequence[Step]) -> list[Step]:
    """Return steps in which each that can takes the records of the fetch before it."""
    made: list[Step] = []
    last = ""
    for step in steps:
        if isinstance(step, Run):
            action = step.action
            if isinstance(action, Fetch):
                last = step.id
            elif last and hasattr(action, "of") and not action.of:
                step = step.model_copy(update={"action": action.model_copy(update={"of": last})})  # noqa: PLW2901
        made.append(step)
    return made


def placed(questions: Sequence[Question], steps: Sequence[Step]) -> list[Question]:
    """Return questions whose `@step/field` is a pointer into the spec."""
    places = {step.id: number for number, step in enumerate(steps)}
    made = []
    for question in questions:
        if question.sets.startswith("@"):
            id, _, rest = question.sets[1:].partition("/")
            if id not in places:
                continue
            pointer = f"/steps/{places[id]}/{rest}"
            made.append(question.model_copy(update={"sets": pointer}))
        else:
            made.append(question)
    return made


def _message_id(action: Slack | Mail) -> str:
    if isinstance(action, Slack):
        return f"post-to-{action.channel[1:] or 'slack'}"
    kind = next((w for w, (s, _) in messages.MAIL_SUBJECTS.items() if s == action.subject), "")
    return f"send-{kind}-mail" if kind and kind not in ("thank", "review") else "send-mail"


def _failed(action: Slack | Mail) -> dict[str, str]:
    if isinstance(action, Slack):
        return {"text": "A run failed"}
    address = action.to if "@" in action.to else "nobody@example.invalid"
    return {"subject": "A run failed", "text": "A run failed", "to": address}
