"""Words to spec."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

from qflow.authoring.actions import Custom, Fetch, Mail, Slack
from qflow.authoring.planner import (
    events,
    groups,
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
from qflow.authoring.planner.words import CLAUSE, Words
from qflow.authoring.spec import Emitter, Parallel, Question, Run, Step, WorkflowSpec

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
        words.has_token = records.take_access(words)
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
        ordered = sorted(words.steps, key=lambda each: each[0])
        steps = _joined([step for _, step in groups.grouped(words, ordered)])
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
            rf"(?:^|,|;|\.|\band\b|\bbut\b|\balso\b)({CLAUSE}*?)\b({_FAILURE})\b,?({CLAUSE}*)"
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
        self._said_apart()

    def _said_apart(self) -> None:
        """Give a text that stands apart from its message to the last message before it."""
        words = self.words
        while (found := words.take(messages.SAYING_ALONE)) is not None:
            before = [n for n, (place, step) in enumerate(words.steps) if place < found.start()]
            for number in reversed(before):
                place, step = words.steps[number]
                if isinstance(step, Run) and isinstance(step.action, Slack | Mail):
                    text = words.said(found, 1)[1:-1]
                    action = step.action.model_copy(update={"text": text})
                    words.steps[number] = place, step.model_copy(update={"action": action})
                    asked = ("message", "mail")
                    words.questions = [q for q in words.questions if q.id not in asked]
                    break

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
                words.ask(
                    self._free("message", id), "What should the message say?", f"@{id}/action/text"
                )
            return
        if action.to == "{email}":
            words.ask("address", "Which field of the event is the address?", f"@{id}/action/to")
        elif action.to.endswith(".invalid"):
            words.ask("address", "To which address?", f"@{id}/action/to", needed=True)
        if not of and action.text not in words.text:
            words.ask(self._free("mail", id), "What should the mail say?", f"@{id}/action/text")

    def _free(self, wanted: str, step: str) -> str:
        """Return the id of a question: for the first message a short one, then one of its step."""
        taken = any(question.id == wanted for question in self.words.questions)
        return f"{wanted}-{step}"[:60] if taken else wanted

    def _custom(self) -> None:
        """Find what no connector does, in what is left: a clause with words of its own."""
        words = self.words
        for found in re.finditer(rf"{CLAUSE}+", words.left):
            for place, end in leftover.parts(found):
                clause = leftover.stripped(words.text[place:end])
                if len(clause.split()) < 2 or not leftover.is_deed(clause):
                    continue
                words.mark(place, end)
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
    last = what = ""
    for step in steps:
        if isinstance(step, Run):
            action = step.action
            if isinstance(action, Fetch):
                last, what = step.id, action.what.replace("_", " ")
            elif last and hasattr(action, "of") and not action.of:
                step = _given(step, action, last, what)  # noqa: PLW2901
        made.append(step)
    return made


def _given(step: Run, action: Any, of: str, what: str) -> Run:
    """Return a step whose action is given the records of the step `of`."""
    changed = {"of": of}
    if isinstance(action, Slack | Mail) and action.text.lower() in ("", "them", "it"):
        changed["text"] = what
        changed |= {"subject": what.capitalize()} if isinstance(action, Mail) else {}
    return step.model_copy(update={"action": action.model_copy(update=changed)})


def placed(questions: Sequence[Question], steps: Sequence[Step]) -> list[Question]:
    """Return questions whose `@step/field` is a pointer into the spec."""
    places = {step.id: f"/steps/{number}" for number, step in enumerate(steps)}
    for number, step in enumerate(steps):
        if isinstance(step, Parallel):
            inner = enumerate(step.branches)
            places |= {each.id: f"/steps/{number}/branches/{n}" for n, each in inner}
    made = []
    for question in questions:
        if question.sets.startswith("@"):
            id, _, rest = question.sets[1:].partition("/")
            if id not in places:
                continue
            pointer = f"{places[id]}/{rest}"
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
