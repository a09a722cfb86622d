"""Waiting: for time, for an event or its absence, for a person."""

from __future__ import annotations

import re
from typing import Final

from qflow.authoring.planner import events
from qflow.authoring.planner.limits import key_field
from qflow.authoring.planner.words import DURATION, Words, duration
from qflow.authoring.spec import Approve, Sleep, Wait

_CLAUSE: Final = r"([^,;.\x1f]+?)(?=,|;|\.|\x1f|$| then | and then | and (?:send|post|mail|email|notify|call|tell) )"


def take_waits(words: Words) -> None:
    """Find the steps that wait; the event that starts the workflow must be known."""
    _unless_later(words)
    while _unless(words) or _for_event(words) or _for_person(words) or _for_time(words):
        pass


def _unless(words: Words) -> bool:
    found = words.take(
        rf"\b(?:wait|pause|sleep|hold)(?: for)? ({DURATION}),? (?:unless|or until|until) {_CLAUSE}"
    )
    late = None if found else words.take(rf"\b({DURATION}) (?:later|after that),? unless {_CLAUSE}")
    late = late or (None if found else words.take(rf"\bafter ({DURATION}),? unless {_CLAUSE}"))
    if found is None and late is None:
        return False
    found = found or late
    assert found is not None
    _wait(
        words, found.start(), found[2], duration(found[1]), stops=" until " not in found[0].lower()
    )
    return True


def _unless_later(words: Words) -> None:
    """Read "after 14 days send a mail unless it is paid": the condition belongs to the waiting."""
    alone = words.find(rf"\bunless {_CLAUSE}")
    if alone is None or re.search(rf"{DURATION},? $", words.left[: alone.start()], re.IGNORECASE):
        return
    before = rf"\b(?:(?:wait|pause|sleep)(?: for)?|after) ({DURATION})\b|\b({DURATION}) later\b"
    found = words.take(before)
    if found is None:
        return
    words.mark(alone.start(), alone.end())
    _wait(words, found.start(), alone[1], duration(found[1] or found[2]), stops=True)


def _for_event(words: Words) -> bool:
    found = words.take(
        rf"\bwait (?:(?:for )?up to ({DURATION}) )?(?:until|till|for) (?!{DURATION}|approval|(?:an? |the )?approval)"
        rf"([^,;.\x1f]+?)(?: (?:for )?(?:up to|at most|for|within) ({DURATION}))?(?=,|;|\.|\x1f|$| then | and )"
    )
    if found is None:
        return False
    length = found[1] or found[3]
    _wait(
        words,
        found.start(),
        found[2],
        duration(length) if length else "7d",
        stops=False,
        arrived=True,
    )
    if not length:
        place = len(words.steps) - 1
        words.ask(
            "wait-timeout",
            "How long should it wait at most?",
            f"@{words.steps[place][1].id}/timeout",
        )
    return True


def _wait(
    words: Words, place: int, clause: str, length: str, *, stops: bool, arrived: bool = False
) -> None:
    event = events.event_of(clause, words.subject)
    if not event:
        words.ask("wait-event", f"Which event is meant by “{clause.strip()}”?", needed=True)
        event = f"{words.subject or 'something'}/happened"
    id = words.free_id(f"{'unless' if stops else 'until'}-{event.partition('/')[2]}")
    match = f"data.{key_field(words.subject)}" if words.subject else None
    arrives, missed = ("stop", "go on") if stops else ("go on", "stop" if arrived else "go on")
    step = Wait.model_validate(
        {"id": id, "events": [event], "match": match, "timeout": length}
        | {"arrived": arrives, "missed": missed}
    )
    words.step(place, step)
    words.understood.append(
        f"waits up to {length} for {event}" + (", which ends it" if stops else "")
    )
    if match:
        words.ask(f"{id}-match", f"Which field tells which {words.subject} it is?", f"@{id}/match")


def _for_person(words: Words) -> bool:
    found = (
        words.take(
            r"\b(?:and |then )?(?:ask|wait)(?: (?:the |our )?(?!for\b)([A-Za-z]+))? for (?:an? |the |(?!our)([A-Za-z]+)'s )?(?:approval|permission|confirmation)(?: (?:by|from|of) (?:the |our )?([A-Za-z]+))?"
        )
        or words.take(
            r"\b(?:after|with|needs|requires|once) (?:an? |the )?(?:(\w+)'s )?approval(?: (?:by|from|of) (?:the |our )?([A-Za-z]+))?()"
        )
        or words.take(
            r"\bonce (?:it is |the \w+ is )?approved(?: by (?:the |our )?([A-Za-z]+))?()()"
        )
    )
    if found is None:
        return False
    who = next((each for each in found.groups() if each), "")
    words.take(r"(?<=\x1f) ?before(?: (?:it|that|this)\b)?")
    id = words.free_id("approval")
    step = Approve(id=id, title="Go on?", assignee=who.lower())
    words.step(found.start(), step)
    words.understood.append(f"asks {who or 'a person'} for approval; without it, the run ends")
    words.ask("approval-title", "What should the person be asked?", f"@{id}/title")
    words.ask("approval-timeout", "How long may the decision take?", f"@{id}/timeout")
    return True


def _for_time(words: Words) -> bool:
    found = (
        words.take(rf"\b(?:and |then )?(?:wait|pause|sleep|hold)(?: for)? ({DURATION})\b")
        or words.take(rf"\b(?:and |then )?after ({DURATION})\b(?! of)")
        or words.take(rf"\b(?:and |then )?({DURATION}) (?:later|after that|afterwards)\b")
        or words.take(rf"\bwith a delay of ({DURATION})\b")
    )
    if found is None:
        return False
    length = duration(found[1])
    words.step(found.start(), Sleep(id=words.free_id(f"wait-{length}"), length=length))
    words.understood.append(f"waits {length}")
    return True
