"""The connectors: which environment variables each needs, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qflow.authoring.actions import Action, Call, Copy, Fetch, Mail, Put, Save, Slack, Write
from qflow.authoring.spec import WorkflowSpec


@dataclass(frozen=True)
class Variable:
    """An environment variable that a worker needs, and what to set it to."""

    name: str
    meaning: str


@dataclass(frozen=True)
class Service:
    """A service by its name and its variables; `token` is empty where it wants none."""

    name: str
    address: Variable
    token: Variable | None = None


_DATABASE: Final = Variable(
    "DATABASE_URL", "postgresql+psycopg://user:password@host/name or sqlite:///acme.db"
)
_S3: Final = (
    Variable("S3_BUCKET", "the bucket's name; AWS_ACCESS_KEY_ID and its kin say who we are"),
)
_SMTP: Final = (
    Variable("SMTP_HOST", "the mail server (and SMTP_PORT, SMTP_USER, SMTP_PASSWORD, SMTP_TLS)"),
    Variable("SMTP_FROM", "the sender's address"),
)
PACKAGES: Final = {
    "fetch": "httpx", "copy": "httpx", "slack": "httpx", "call": "httpx", "put": "boto3",
    "write": "sqlalchemy",
}  # fmt: skip


def http(name: str, *, token: bool) -> Service:
    """Return the HTTP service that people call `name`."""
    stem = variable(name)
    address = Variable(f"{stem}_URL", f"the https:// address of {name}")
    return Service(name, address, Variable(f"{stem}_TOKEN", "its token") if token else None)


def slack(channel: str) -> Service:
    """Return the incoming webhook of a channel, "" for the one there is."""
    stem = variable(f"slack {channel}")
    where = channel or "the channel"
    return Service("Slack", Variable(f"{stem}_WEBHOOK_URL", f"an incoming webhook of {where}"))


def source(fetch: Fetch) -> Service:
    """Return the service that records are read from over HTTP."""
    if fetch.service == "salesforce":
        return Service(
            "Salesforce",
            Variable("SALESFORCE_URL", "such as https://acme.my.salesforce.com"),
            Variable("SALESFORCE_TOKEN", f"an access token that may read {fetch.what}"),
        )
    if fetch.service == "zendesk":
        return Service(
            "Zendesk",
            Variable("ZENDESK_URL", "such as https://acme.zendesk.com"),
            Variable("ZENDESK_TOKEN", "an OAuth access token of an agent"),
        )
    return http(fetch.name, token=fetch.token)


def secrets(spec: WorkflowSpec) -> list[Variable]:
    """Return the environment variables that a workflow needs, each once, in order of use."""
    found = {each.name: each for action in spec.actions() for each in _of(action)}
    return list(found.values())


def packages(spec: WorkflowSpec) -> list[str]:
    """Return the packages that a workflow imports, which qflow does not bring."""
    found = {PACKAGES[action.do] for action in spec.actions() if action.do in PACKAGES}
    services = {
        service
        for action in spec.actions()
        for service in (
            (action.source.service, action.target.service)
            if isinstance(action, Copy)
            else (getattr(action, "service", ""),)
        )
    }
    found |= {"sqlalchemy"} if "sql" in services else set()
    found |= {"boto3"} if "s3" in services else set()
    if services - {""} and services <= {"", "sql", "s3"} and not _calls(spec):
        found -= {"httpx"}
    return sorted(found)


def variable(name: str) -> str:
    """Return the beginning of a service's variables: "Stock API" gives STOCK_API."""
    letters = "".join(char if char.isalnum() and char.isascii() else " " for char in name.upper())
    stem = "_".join(letters.split()) or "API"
    return stem if stem[0].isalpha() else f"API_{stem}"


def _calls(spec: WorkflowSpec) -> bool:
    return any(isinstance(action, Slack | Call) for action in spec.actions())


def _of(action: Action) -> Iterator[Variable]:
    match action:
        case Copy():
            yield from _of(action.source)
            yield from _stored(action.target)
        case Fetch(service="sql") | Write():
            yield _DATABASE
        case Fetch(service="s3") | Put():
            yield from _S3
        case Fetch():
            yield from _both(source(action))
        case Slack():
            yield from _both(slack(action.channel))
        case Call():
            yield from _both(http(action.name, token=action.token))
        case Mail():
            yield from _SMTP


def _stored(target: Save) -> Iterator[Variable]:
    if target.service == "sql":
        yield _DATABASE
    elif target.service == "s3":
        yield from _S3
    else:
        yield from _both(http(target.name, token=target.token))


def _both(service: Service) -> Iterator[Variable]:
    yield service.address
    if service.token is not None:
        yield service.token
