"""Records: what is read from where, and where it goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from qflow.authoring.actions import Call, Copy, Fetch, Put, Save, Write
from qflow.authoring.planner.words import Words, name
from qflow.authoring.spec import Emit, Invoke, Run

_SALESFORCE: Final = ("contact", "lead", "account", "opportunit", "case")
_SERVICES: Final = (
    (r"salesforce", "salesforce", "Salesforce"),
    (r"zendesk", "zendesk", "Zendesk"),
    (r"\bs3\b|\bbucket\b", "s3", "S3"),
    (
        r"postgres(?:ql)?|sqlite|mysql|\bsql\b|\bdatabase\b|\bdb\b|\btables?\b|warehouse",
        "sql",
        "SQL",
    ),
)
_NAMED: Final = (
    *("Shopify", "Stripe", "HubSpot", "GitHub", "Jira", "Linear", "Notion", "Airtable", "Intercom"),
    *("Pipedrive", "Zoho", "Xero", "QuickBooks", "Mailchimp", "Segment", "Mixpanel", "Asana"),
)
_THING: Final = r"((?:[\w'-]+ ){0,3}?[\w'-]+)"
_END: Final = (
    r"(?= ?(?:$|[,.;\x1f])| and | then | every | when | at (?!\w+ api)| if | once | with | using )"
)
_OURS: Final = r"(?:all (?:of )?)?(?:the |our |all |new |my |their |those )*"


@dataclass(frozen=True)
class Place:
    """A place that records are in: a service, its name, the thing that the words name there."""

    service: str
    name: str
    what: str = ""


def take_access(words: Words) -> bool:
    """Find what is said of tokens and pages; tell whether an HTTP API wants a token."""
    token = not words.take(r"\b(?:without|no|with no) (?:an? )?(?:token|authentication|login)\b")
    words.take(
        r"\b(?:with|using) (?:an? |the |its )?(?:bearer |api |access )?(?:token|key)\b"
        r"(?: and (?:all (?:its |of its )?pages|paging|pagination))?"
    )
    words.take(
        r"\b(?:page by page|with (?:paging|pagination|all (?:its )?pages)|paginated)(?: and (?:a |its )?token)?\b"
    )
    return token


def take_copies(words: Words) -> None:
    """Find what is copied from one place to another."""
    verb = r"(?:syncs?|synchroni[sz]es?|synchroni[sz]ing|syncing|cop(?:y|ies)|mirrors?|replicates?|imports?|exports?|backs? up|loads?|moves?|pulls?|transfers?)"
    found = words.take(
        rf"\b{verb} {_OURS}{_THING}(?: from {_OURS}{_THING})?(?:[ \x1f]+(?:in)?to {_OURS}{_THING})?{_END}"
    )
    if found is None:
        return
    source = place_of(found[2] or found[1])
    if source is None and found[2]:
        source = Place("http", _api(found[2]))
    target = place_of(found[3] or "") if found[3] else None
    if target is None and found[3]:
        target = Place("http", _api(found[3]))
    what = thing(found[1])
    id = words.free_id(f"copy-{what.replace('_', '-')}")
    known = source is not None
    source = source or Place("http", "API")
    fetch = _fetch(source, what, found[1], words)
    goes = target or Place("sql", "SQL")
    save = Save.model_validate(
        {
            "service": goes.service if goes.service in ("sql", "s3") else "http",
            "what": goes.what or what,
        }
        | ({"name": goes.name} if goes.service not in ("sql", "s3") else {})
    )
    words.step(found.start(), Run(id=id, action=Copy(source=fetch, target=save)))
    words.understood.append(
        f"copies {what.replace('_', ' ')} from {source.name} to {goes.name if target else 'a SQL database'}"
    )
    if target is not None and target.service in ("salesforce", "zendesk"):
        where = f"@{id}/action/target/service"
        words.ask(
            "target", f"No connector writes to {target.name}. Where else?", where, needed=True
        )
    if not known:
        words.ask(
            "source",
            f"Where are {what.replace('_', ' ')} read from?",
            f"@{id}/action/source/service",
            needed=True,
        )
    if target is None:
        words.ask(
            "target", f"Where do {what.replace('_', ' ')} go?", f"@{id}/action/target/service"
        )
    if goes.service == "sql" and not goes.what:
        words.ask("table", "Into which table?", f"@{id}/action/target/what")


def take_fetches(words: Words) -> None:
    """Find what is read."""
    found = words.take(
        rf"\b(?:fetch(?:es)?|gets?|reads?|downloads?|retrieves?|collects?|checks?|lists?) {_OURS}{_THING} (?:from|in|of) {_OURS}{_THING}{_END}"
    )
    if found is None:
        return
    what = thing(found[1])
    source = place_of(found[2]) or Place("http", _api(found[2]))
    fetch = _fetch(source, what, found[1], words)
    id = words.free_id(f"fetch-{fetch.what.replace('_', '-')}")
    words.step(found.start(), Run(id=id, action=fetch))
    words.understood.append(f"reads {fetch.what.replace('_', ' ')} from {source.name}")


def take_saves(words: Words) -> None:
    """Find what is written: to a table, S3, a web hook or an API."""
    it = (
        r"(?:it|them|this|that|the (?:results?|records?|data|rows?|events?|payload|orders?|files?))"
    )
    while found := words.take(
        rf"\b(?:sav|stor|writ|upload|archiv|put|record|insert|add|log)(?:e|es|s)? (?:{it}|(?:a |the )?(?:row|record)s?|{_OURS}{_THING}) (?:to|in|into|as json to|on) {_OURS}{_THING}{_END}"
    ):
        _save(words, found.start(), found[2])
    while found := words.take(
        rf"\b(?:call|trigger|hit|post(?: {it})? to|send(?: {it})? to|forward(?: {it})? to|notify|ping) (?:the |our |a )?((?:[\w-]+ ){{0,3}}?)(webhook|api|endpoint|end point|service|url)\b(?: of (?:the )?([\w-]+))?"
    ):
        label = (
            _api(found[3] or found[1]) if (found[3] or found[1]).strip() else found[2].capitalize()
        )
        kind = found[2].lower()
        label = (
            f"{label} {'webhook' if kind == 'webhook' else 'API'}"
            if label.lower() not in ("webhook", "api")
            else label
        )
        id = words.free_id(f"call-{label}")
        token = kind != "webhook"
        words.step(found.start(), Run(id=id, action=Call(name=label, token=token)))
        words.understood.append(f"posts to {label}")


def take_calls(words: Words) -> None:
    """Find functions that are run and events that are sent."""
    while found := words.take(
        r"\b(?:emits?|sends?|publish(?:es)?|fires?|raises?) (?:the |an? )?(?:event )?[`'\"]?([a-z][a-z0-9_.-]*/[a-z][a-z0-9_.-]*)[`'\"]?(?: event)?"
    ):
        verb = found[1].replace("/", "-").replace(".", "-")
        words.step(found.start(), Emit(id=words.free_id(f"emit-{verb}"), event=found[1]))
        words.understood.append(f"sends {found[1]}")
    while found := words.take(
        r"\b(?:run|invoke|start|call|execute)s? (?:the )?(?:(?:function|workflow) [`'\"]?([a-z][\w.-]*)[`'\"]?|[`'\"]?([a-z][\w.-]*)[`'\"]? (?:function|workflow)|[`'\"]?([a-z]+(?:-[a-z0-9]+)+)[`'\"]?)"
    ):
        function = next(each for each in found.groups() if each)
        words.step(found.start(), Invoke(id=words.free_id(f"run-{function}"), function=function))
        words.understood.append(f"runs the function {function}")


def source_of(words: Words, about: str, place: int) -> tuple[str, str]:
    """Add the step that reads what a message is a summary of; return its id and what it reads."""
    what = thing(about)
    found = place_of(about)
    if found is None and what.endswith("tickets"):
        found = Place("http", "Ticket API")
        known = False
    else:
        known = found is not None
        found = found or Place("http", f"{what.replace('_', ' ').capitalize()} API")
    fetch = _fetch(found, what, about, words)
    id = words.free_id(f"fetch-{fetch.what.replace('_', '-')}")
    words.step(place - 1, Run(id=id, action=fetch))
    words.understood.append(
        f"reads {fetch.what.replace('_', ' ')} from {fetch.name if fetch.service == 'http' else found.name}"
    )
    if not known:
        words.ask(
            "source",
            f"Which system has the {fetch.what.replace('_', ' ')}: zendesk, salesforce, sql, s3, or http for any API?",
            f"@{id}/action/service",
        )
    return id, fetch.what


def place_of(text: str) -> Place | None:
    """Return the place that words name, None for none that is known."""
    for pattern, service, shown in _SERVICES:
        if re.search(pattern, text, re.IGNORECASE):
            what = ""
            table = re.search(r"(\w+) table\b|table (\w+)", text, re.IGNORECASE)
            if service == "sql" and table:
                what = name(table[1] or table[2])
            return Place(service, shown, what if what not in ("the", "a", "our", "sql") else "")
    for label in _NAMED:
        if re.search(rf"\b{label}\b", text, re.IGNORECASE):
            return Place("http", label)
    api = re.search(r"([\w-]+(?: [\w-]+)?) api\b", text, re.IGNORECASE)
    return Place("http", _api(api[1])) if api else None


def thing(text: str) -> str:
    """Return what is read, without where it is: "our Salesforce contacts" are contacts."""
    flat = re.sub(
        r"\b(?:our|the|all|new|my|their|open|unsolved|unresolved|latest|every|from|of|in|database|db|table|records?)\b",
        " ",
        text,
        flags=re.IGNORECASE,
    )
    for pattern, _, _ in _SERVICES[:3]:
        flat = re.sub(pattern, " ", flat, flags=re.IGNORECASE)
    for label in _NAMED:
        flat = re.sub(rf"\b{label}\b", " ", flat, flags=re.IGNORECASE)
    flat = re.sub(r"\b(?:api|postgres(?:ql)?|sqlite|sql)\b", " ", flat, flags=re.IGNORECASE)
    return name(flat) if flat.strip() else "records"


def _fetch(place: Place, what: str, said: str, words: Words) -> Fetch:
    made: dict[str, Any] = {"service": place.service, "what": place.what or what}
    if place.service == "http":
        made["name"] = place.name
    if place.service == "salesforce" and not what.startswith(_SALESFORCE):
        words.assumed.append(f"{what} is an object of Salesforce with a Name")
    if re.search(r"\b(?:open|unsolved|unresolved)\b", said, re.IGNORECASE):
        made["only"] = "open"
    made["token"] = words.has_token
    return Fetch.model_validate(made)


def _save(words: Words, place: int, text: str) -> None:
    found = place_of(text)
    if found is None:
        label = _api(text)
        step = Run(id=words.free_id(f"call-{label}"), action=Call(name=label, token=True))
        words.step(place, step)
        words.understood.append(f"posts to {label}")
    elif found.service == "s3":
        fetched = [
            s.action.what
            for _, s in words.steps
            if isinstance(s, Run) and isinstance(s.action, Fetch)
        ]
        folder = name(words.subject or (fetched[-1] if fetched else "records"))
        id = words.free_id("save-to-s3")
        words.step(place, Run(id=id, action=Put(folder=folder)))
        words.understood.append("writes JSON to S3")
        words.ask("folder", "Into which folder of the bucket?", f"@{id}/action/folder")
    elif found.service == "sql":
        table = found.what or name(f"{words.subject}s" if words.subject else "records")
        id = words.free_id(f"write-{table.replace('_', '-')}")
        words.step(place, Run(id=id, action=Write(table=table)))
        words.understood.append(f"writes a row of {table}")
        if not found.what:
            words.ask("table", "Into which table?", f"@{id}/action/table")
        words.ask("key", "Which field of the event is the row's key?", f"@{id}/action/key")
    else:
        step = Run(id=words.free_id(f"call-{found.name}"), action=Call(name=found.name, token=True))
        words.step(place, step)
        words.understood.append(f"posts to {found.name}")


def _api(text: str) -> str:
    """Return what to call an API that the words name."""
    flat = re.sub(
        r"\b(?:the|our|a|an|api|rest|http|https|from|webhook)\b", " ", text, flags=re.IGNORECASE
    )
    shown = " ".join(re.sub(r"[^\w .&'-]", " ", flat).split())[:40]
    return shown[:1].upper() + shown[1:] if shown else "API"
