"""Messages: Slack and mail."""

from __future__ import annotations

import re
from typing import Final

from qflow.authoring.actions import Mail, Slack
from qflow.authoring.planner.words import Words
from qflow.authoring.spec import OnEvent

_ADDRESS: Final = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_CHANNEL: Final = r"#[a-z0-9_-]+"
_SAID: Final = r"(\"[^\"]*\"|'[^']*'|“[^”]*”)"
_SAYING: Final = r"(?: (?:saying|that says|with the text|with text|which says)[: ]* ?(\"[^\"]*\"|'[^']*'|“[^”]*”))?"
SAYING_ALONE: Final = (
    r"\b(?:saying|that says|with the text|with text|which says)[: ]* ?(\"[^\"]*\"|'[^']*'|“[^”]*”)"
)
_KIND: Final = r"((?: [\w'-]+){0,3}?)"
_ABOUT: Final = (
    r"(?: (?:of|about|with|on|for) (?:the |our |all )*((?:(?!by e?-?mail)[\w-]+ ){0,4}?[\w-]+?))?"
)
_NOTE: Final = (
    r"(?: (?:messages?|notifications?|alerts?|reminders?|note|summary|digest|report|list))"
)
_END: Final = (
    r"(?= ?(?:$|[,.;\x1f])| at | and | then | when | every | if | once | after | for each )"
)
_SLACK: Final = (
    rf"(?:send|post|write|drop|put)s?(?: out)?(?: (?:it|them|that|this))?(?: (?:a|an|the|us a))?"
    rf"(?: Slack)?{_KIND}(?: Slack)?{_NOTE}?{_ABOUT}"
)
MAIL_SUBJECTS: Final = {
    "welcome": ("Welcome", "Hello {name},\n\nwelcome! Just answer if you need anything.\n"),
    "thank": ("Thank you", "Hello {name},\n\nthank you!\n"),
    "reminder": ("A reminder", "Hello {name},\n\nthis is a reminder.\n"),
    "receipt": ("Your receipt", "Hello {name},\n\nhere is your receipt.\n"),
    "confirmation": ("Confirmed", "Hello {name},\n\nthis is confirmed.\n"),
    "invoice": ("Your invoice", "Hello {name},\n\nhere is your invoice.\n"),
    "feedback": ("How was it?", "Hello {name},\n\nhow was it? Just answer this mail.\n"),
    "survey": ("A short survey", "Hello {name},\n\nhow was it? Just answer this mail.\n"),
    "apology": ("We are sorry", "Hello {name},\n\nwe are sorry.\n"),
    "review": ("How was it?", "Hello {name},\n\nhow was it? Just answer this mail.\n"),
    "cancellation": ("Cancelled", "Hello {name},\n\nthis is cancelled.\n"),
}
_PEOPLE: Final = r"(?:the |our |that |each )?(?:customer|user|client|buyer|member|subscriber|person|them|him|her|owner|recipient|employee|applicant)s?"

Found = tuple[int, Slack | Mail, str]


def take_message(words: Words) -> Found | None:
    """Find a message to send; return its place, the action, and what it is a summary of."""
    return _mail(words) or _slack(words)


def _slack(words: Words) -> Found | None:
    channel = rf"(?:({_CHANNEL})(?: channel)?(?: (?:on|in) Slack)?|(Slack)(?: channel)?(?: ({_CHANNEL}))?)"
    patterns = (
        rf"\b{_SLACK} (?:to|in|on|into) (?:the |our )?{channel}{_ABOUT}{_SAYING}{_END}",
        (
            rf"\b(?:send|post|write)s?(?: (?:a|an|the|us a))? Slack{_KIND}{_NOTE}{_ABOUT}"
            rf"(?: to (?:({_CHANNEL})|the team|us))?()(){_ABOUT}{_SAYING}{_END}"
        ),
        (
            rf"\b(?:also )?(?:notify|alert|ping|tell|inform|message)s?()()(?: (?:us|the team|everyone))?"
            rf"(?: (?:on|in|via|the))? {channel}{_ABOUT}{_SAYING}{_END}"
        ),
    )
    direct = words.take(
        rf"\b(?:send|post|write|drop|put)s?(?: out)? {_SAID} (?:to|in|on|into) (?:the |our )?{channel}{_END}"
    )
    if direct is not None:
        name = next((each for each in (direct[2], direct[4]) if each), "")
        words.understood.append(f"posts to {name or 'Slack'}")
        return direct.start(), Slack(channel=name, text=_quoted(words.said(direct, 1))), ""
    for pattern in patterns:
        found = words.take(pattern)
        if found is None:
            continue
        kind, about, first, _, last, more = (found[index] or "" for index in range(1, 7))
        said = words.said(found, 7)
        channel = next((each for each in (first, last) if each.startswith("#")), "")
        about = about or more
        text = _quoted(said) or _text(words, kind)
        action = Slack(channel=channel, text=text)
        words.understood.append(f"posts to {channel or 'Slack'}")
        return found.start(), action, _about(kind, about)
    return None


def _mail(words: Words) -> Found | None:
    to = rf"(?: (?:to|for) ({_ADDRESS}|{_PEOPLE}))?"
    patterns: tuple[str, ...] = (
        (
            rf"\b(?:sends?|write)(?: (?:out|off))?(?: ({_PEOPLE}))?(?: (?:a|an|the|another))?{_KIND}"
            rf" (?:e-?mails?|mails?)(?!\w){_ABOUT}{to}{_SAYING}{_END}"
        ),
        (
            rf"\b(?:also )?(?:e-?mails?|mails?) ({_ADDRESS}|{_PEOPLE})(?: (?:a|an|the){_KIND} (\w+?))?"
            rf"{_ABOUT}(){_SAYING}{_END}"
        ),
        rf"\b(?:also )?(?:notify|alert|tell|inform)s? ({_ADDRESS})(?: by (?:e-?)?mail)?()()()(){_SAYING}{_END}",
        rf"\b(?:sends?|e-?mails?|mails?)(?: (?:a|an|the))?{_KIND}() ({_MISC}){_ABOUT} to ({_ADDRESS}|{_PEOPLE}){_SAYING}{_END}",
        (
            rf"\b(?:sends?|e-?mails?|mails?)(?: (?:me|us))?(?: (?:a|an|the))?{_KIND}() "
            rf"({_MISC}|it|them){_ABOUT}(?: by e?-?mail)? to ({_ADDRESS}|{_PEOPLE}){_SAYING}{_END}"
        ),
    )
    if any(isinstance(trigger, OnEvent) for trigger in words.triggers):
        patterns = (
            *patterns,
            rf"\bsends?(?: ({_PEOPLE}))?(?: (?:a|an|the|another))?{_KIND} ({_SENT}){_ABOUT}(){_SAYING}{_END}",
        )
    for number, pattern in enumerate(patterns):
        found = words.take(pattern)
        if found is None:
            continue
        groups = [each or "" for each in found.groups()]
        groups[-1] = words.said(found, len(groups))
        if number == 5:
            to, kind, noun, about, _, said = groups
            kind = f"{kind} {noun}"
        elif number in (3, 4):
            kind, _, noun, about, to, said = groups
            kind = f"{kind} {noun}"
        elif number == 0:
            who, kind, about, to, said = groups
            to = to or who
        else:
            to, kind, noun, about, _, said = groups
            kind = f"{kind} {noun}"
        return found.start(), _mail_action(words, kind, to, _quoted(said)), _about(kind, about)
    return None


_SENT: Final = "reminder|receipt|confirmation|survey"
_MISC: Final = (
    "reminder|summary|report|digest|receipt|invoice|confirmation|survey|message|notification|list"
)


def _mail_action(words: Words, kind: str, to: str, said: str) -> Mail:
    by_event = any(isinstance(trigger, OnEvent) for trigger in words.triggers)
    address = re.fullmatch(_ADDRESS, to)
    subject, text = next(
        (made for word, made in MAIL_SUBJECTS.items() if word in kind.lower()), ("", "")
    )
    if not subject:
        what = " ".join(kind.split()) or words.subject
        subject = what.capitalize() or "News"
        text = said or (
            f"Hello {{name}},\n\n{_happened(words)}\n" if by_event else _happened(words)
        )
    text = said or text
    if address or not by_event:
        text = text.replace("Hello {name},\n\n", "")
    words.understood.append(f"sends a mail: {subject}")
    if address:
        return Mail(to=to, subject=subject, text=text)
    if by_event:
        return Mail(to="{email}", subject=subject, text=text)
    return Mail(to="nobody@example.invalid", subject=subject, text=text)


def _about(kind: str, about: str) -> str:
    """Return what a message is a summary of, "" where it is about the event."""
    if about and re.search(r"^(?:event|order|it|this|them)$", about, re.IGNORECASE):
        return ""
    return " ".join(about.split())


def _text(words: Words, kind: str) -> str:
    if any(isinstance(trigger, OnEvent) for trigger in words.triggers):
        return _happened(words)
    return " ".join(kind.split()).capitalize()


def _happened(words: Words) -> str:
    for trigger in words.triggers:
        if isinstance(trigger, OnEvent):
            noun, _, verb = trigger.event.partition("/")
            return f"{noun.replace('-', ' ').capitalize()} {verb.replace('-', ' ')}."
    return ""


def _quoted(text: str) -> str:
    return text.strip("\"'“”").strip()
