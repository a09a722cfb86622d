"""Events: "when an order is paid", "when a row is added to users", and conditions on their data."""

from __future__ import annotations

import re
from typing import Final

from qflow.authoring.planner.words import DURATION, NUMBER, Words, duration, name, number, slug
from qflow.authoring.render.records import singular
from qflow.authoring.spec import Emitter, OnEvent, Sleep

WHEN: Final = r"(?:when(?:ever)?|once|as soon as|each time|every time|any time|after|if|upon|on|for (?:each|every))"
ARTICLE: Final = r"(?:a|an|the|any|some|each|every|one of our|our|another)"
PASSIVE: Final = r"(?:is|are|was|were|has been|have been|gets|got|becomes|became|has)"
_NOUN: Final = r"[a-z]+(?: [a-z]+)?"
_IRREGULAR: Final = {
    "made": "made", "sent": "sent", "paid": "paid", "built": "built", "left": "left", "sold": "sold",
    "lost": "lost", "won": "won", "overdue": "overdue", "late": "late", "empty": "emptied",
    "due": "due", "put": "put", "read": "read", "done": "done", "inserted": "created",
    "ready": "ready", "down": "down", "full": "full", "low": "low", "broken": "broken",
    "taken": "taken", "written": "written", "shipped": "shipped",
}  # fmt: skip
_ACTIVE: Final = {
    "signs up": "signed-up", "logs in": "logged-in", "checks out": "checked-out", "fails": "failed",
    "arrives": "arrived", "expires": "expired", "registers": "registered", "joins": "joined",
    "subscribes": "subscribed", "unsubscribes": "unsubscribed", "churns": "churned",
    "comes in": "received", "goes down": "down", "closes": "closed", "opens": "opened",
    "ends": "ended", "starts": "started", "changes": "changed", "cancels": "cancelled",
    "upgrades": "upgraded", "downgrades": "downgraded", "pays": "paid", "appears": "created",
    "ships": "shipped",
    "breaks": "broken",
    "renews": "renewed",
    "lapses": "lapsed",
    "resigns": "resigned",
    "finishes": "finished", "completes": "completed", "dies": "died", "drops": "dropped",
}  # fmt: skip
_TRANSITIVE: Final = {
    "places": "placed", "requests": "requested", "uploads": "uploaded", "submits": "submitted",
    "creates": "created", "opens": "opened", "pays": "paid", "cancels": "cancelled",
    "books": "booked", "leaves": "left", "writes": "written", "makes": "made", "files": "filed",
    "adds": "added", "updates": "updated", "signs": "signed",
}  # fmt: skip
_PERSON: Final = r"(?:someone|somebody|anyone|(?:a|an|the|any) (?:new )?(?:customer|user|client|person|visitor|agent|member|employee))"
_NO_SUBJECT: Final = {"it", "this", "that", "they", "run", "workflow", "job", "time", "day"}
_OPERATORS: Final = (
    (r"is (?:at least|no less than)|>=|reaches", ">="),
    (r"is (?:at most|no more than)|<=", "<="),
    (
        r"(?:is )?(?:over|above|more than|greater than|bigger than|higher than|larger than|exceeds)|exceeds|>",
        ">",
    ),
    (r"(?:is )?(?:under|below|less than|smaller than|lower than)|<", "<"),
    (r"is not|isn't|!=", "!="),
    (r"is(?: equal to)?|equals|==?", "=="),
)


def take_event(words: Words, emitters: list[Emitter]) -> bool:
    """Find the event that starts the workflow; tell whether there is one."""
    delay = words.find(rf"\b({DURATION}) (?=(?:after|once) )")
    event = _row(words, emitters) or _literal(words) or _new(words) or _clause(words)
    if not event:
        return False
    words.subject = event.partition("/")[0]
    if delay is not None and words.left[delay.end()] == "\x1f":
        words.mark(delay.start(), delay.end())
        length = duration(delay[1])
        words.step(-1, Sleep(id=words.free_id(f"wait-{length}"), length=length))
        words.understood.append(f"waits {length}")
    words.triggers.append(OnEvent(event=event, when=take_condition(words)))
    words.understood.append(f"for each event {event}")
    return True


def take_condition(words: Words) -> str | None:
    """Return the condition on the event's data that the words name, as CEL."""
    lead = r"\b(?:but |and )?(?:only )?(?:if|when|where|with|whose|for) (?:its |the |their |it has an? |an? )?(?:order'?s? )?"
    found = words.find(
        r"\b(?:and |if |where |with )*event\.data\.(\w+) ?(>=|<=|==|!=|>|<) ?('[^']*'|\"[^\"]*\"|[\w.]+)"
    )
    if found:
        words.mark(found.start(), found.end())
        return f"event.data.{name(found[1])} {found[2]} {_value(words.said(found, 3))}"
    for text, operator in _OPERATORS:
        found = words.find(
            rf"{lead}([a-z_]+(?: (?!is\b)[a-z_]+)?) (?:{text}) (?:than )?"
            rf"(?:€|\$|£|USD |EUR )?({NUMBER}\b|'[^']*'|\"[^\"]*\"|[a-z][\w-]*)(?: ?(?:€|\$|£|euros?|dollars?|USD|EUR)\b)?"
        )
        if found and found[1].lower().split()[0] not in _NO_SUBJECT:
            words.mark(found.start(), found.end())
            return f"event.data.{name(found[1])} {operator} {_value(words.said(found, 2))}"
    found = words.take(
        rf"(?:\x1f|\b(?:orders?|amounts?|payments?|invoices?)) (?:of |worth )?(over|above|under|below|more than|less than) (?:€|\$|£)?({NUMBER})\b"
    )
    if found:
        operator = ">" if found[1].lower() in ("over", "above", "more than") else "<"
        words.ask("amount", "Which field of the event is that amount?", "/triggers/0/when")
        return f"event.data.amount {operator} {_value(found[2])}"
    return None


def event_of(text: str, subject: str) -> str:
    """Return the event that a clause such as "it is refunded" names, "" for none."""
    flat = text.lower().strip()
    literal = re.search(r"\b([a-z][\w.-]*/[a-z][\w.-]*)\b", flat)
    if literal:
        return literal[1]
    found = re.fullmatch(
        rf"(?:{ARTICLE} )?(?:new )?({_NOUN}) {PASSIVE} (?:been )?([a-z-]+)(?: .*)?", flat
    )
    if found:
        noun = subject if found[1] in ("it", "this", "that", "they") else found[1]
        return _name(noun, _past(found[2])) if noun and _past(found[2]) else ""
    for verb, past in _ACTIVE.items():
        found = re.fullmatch(rf"(?:{ARTICLE} )?(?:new )?({_NOUN}) {verb}(?: .*)?", flat)
        if found:
            noun = subject if found[1] in ("it", "this", "they") else found[1]
            return _name(noun, past) if noun else ""
    found = re.fullmatch(rf"{_PERSON} ([a-z]+) (?:{ARTICLE} )?(?:new )?({_NOUN})", flat)
    if found and found[1] in _TRANSITIVE:
        return _name(found[2], _TRANSITIVE[found[1]])
    return ""


def _row(words: Words, emitters: list[Emitter]) -> str:
    """Return the event of a row that is added to a table, and note the place that emits it."""
    tail = r"(?:to|into|in) (?:the |our )?(?:(\w+) table\b|table (\w+)|(database|db)\b|(\w+)\b)"
    verb = r"(?:is|are|gets|was|has been) (?:added|inserted|created|written)"
    found = words.take(rf"\b{WHEN} (?:a |an |the |any )?(?:new )?(?:row|record)s? {verb} {tail}")
    if found:
        table = name(found[1] or found[2] or found[4] or "rows")
        if found[3]:
            words.ask("table", "Which table is it?", needed=True)
    else:
        found = words.take(
            rf"\b{WHEN} (?:a |an |the |any )?(?:new )?(\w+)s? {verb} (?:to|into|in) (?:the |our )?(?:\w+ )?(?:database|db|table)\b"
        )
        if found is None:
            return ""
        table = _plural(name(found[1]))
    event = f"{slug(singular(table))}/created"
    emitters.append(Emitter(event=event, table=table))
    words.assumed.append(
        f"nobody emits {event} yet, so the code has announce_{table}(), which your service calls once"
    )
    return event


def _literal(words: Words) -> str:
    found = words.take(
        rf"\b{WHEN} (?:the |an |each )?(?:event )?[`'\"]?([a-z][\w.-]*/[a-z*][\w.-]*\*?)[`'\"]?(?: (?:event|arrives|happens|occurs|comes in|is sent|is received))*"
    )
    return found[1] if found else ""


def _new(words: Words) -> str:
    found = words.take(
        r"\b(?:for|on|upon) (?:each|every|any|a)? ?new ([a-z]+)\b(?! (?:is|are|gets))"
    )
    found = found or words.take(r"\bwhen there(?: is|'s) a new ([a-z]+)\b")
    if found:
        return _name(found[1], "created")
    found = words.take(
        rf"\b{WHEN} (?:a |an |the )?webhook (?:arrives|comes in|is received)(?: from (\w+))?|\b{WHEN} (?:we|you) (?:get|receive) a webhook from (\w+)"
        r"|\bwhen (\w+) (?:calls|sends) (?:our|the|a) webhook"
    )
    if found:
        who = next((each for each in found.groups() if each), "")
        words.assumed.append("webhooks come in over HTTP as events: POST /e/<event-key>")
        return f"{slug(who or 'webhook')}/received"
    return ""


def _clause(words: Words) -> str:
    for found in re.finditer(rf"\b{WHEN} ", words.left, re.IGNORECASE):
        clause = re.split(
            r"[,;.\x1f]| then | and (?=\w+ (?:a|an|the|them|it|to)\b)| but | (?:over|above|under|below|more than|less than|with|where|whose|worth) ",
            words.left[found.end() :],
        )[0]
        pieces = clause.split()
        for length in range(min(len(pieces), 9), 1, -1):
            text = " ".join(pieces[:length])
            event = event_of(_cut(text), words.subject)
            if event and event.partition("/")[0] not in _NO_SUBJECT and _cut(text) == text:
                end = found.end() + len(clause) - len(clause.lstrip()) + len(text)
                words.mark(found.start(), end)
                return event
    return ""


def _cut(text: str) -> str:
    """Return a clause up to its verb: what follows belongs to what should be done."""
    kept: list[str] = []
    for word in text.split():
        kept.append(word)
        flat = " ".join(kept).lower()
        if re.search(rf" {PASSIVE} (?:been )?[a-z-]+$", flat) and _past(kept[-1].lower()):
            break
        if any(flat.endswith(f" {verb}") for verb in _ACTIVE):
            break
    return " ".join(kept)


def _past(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    return verb if verb.endswith("ed") and len(verb) > 3 else ""


def _name(noun: str, verb: str) -> str:
    word = slug(noun.removeprefix("new "))
    return f"{slug(singular(word))}/{slug(verb)}"


def _plural(noun: str) -> str:
    if noun.endswith("s"):
        return noun
    return noun[:-1] + "ies" if noun.endswith("y") else noun + "s"


def _value(text: str) -> str:
    if re.fullmatch(NUMBER, text, re.IGNORECASE):
        value = number(text)
        return str(int(value)) if value == int(value) else str(value)
    flat = text.strip("'\"")
    return flat.lower() if flat.lower() in ("true", "false") else "'" + flat.replace("'", "") + "'"
