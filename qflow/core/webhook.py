"""Inbound webhooks: whether a delivery is signed by who has the secret, and the event it becomes.

A preset says where a sender puts its signature, its moment and its id. Signatures are compared in
time that does not tell how much of them was right.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl

from qflow.core.event import MAX_NAME, Event, check_name, check_sendable
from qflow.errors import QflowError, UsageError

PRESETS: Final = ("github", "stripe", "slack", "hmac")
TOLERANCE_S: Final = 300
"""How old a delivery may be whose signature covers its moment."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_TYPE: Final = re.compile(r"[^A-Za-z0-9_./-]+")


class Unsigned(QflowError):
    """A delivery whose signature is missing, wrong or too old."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A place that takes deliveries. `event` is the name of what they become, where `{type}` stands
    for the sender's own; `secret_env` the environment variables that hold its secrets, several while
    one replaces another; `header` and `id_header` are for the preset hmac only."""

    id: str
    preset: str
    event: str
    secret_env: str
    header: str = "X-Signature"
    id_header: str = "X-Delivery-Id"

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise UsageError(f"webhook id {self.id!r}: letters, digits, '_' and '-', at most 64")
        if self.preset not in PRESETS:
            raise UsageError(f"preset {self.preset!r} is none of {', '.join(PRESETS)}")
        names = self.variables
        if not names or not all(map(_VARIABLE.fullmatch, names)):
            raise UsageError(
                f"secret {self.secret_env!r}: write the name of the environment variable that holds "
                "it where the dashboard runs, never the secret"
            )
        for header in (self.header, self.id_header):
            if not _HEADER.fullmatch(header):
                raise UsageError(f"header {header!r}: letters, digits and '-' only")
        check_name(self.event)
        check_sendable(Event(self.named("type")))

    @property
    def variables(self) -> list[str]:
        """The environment variables that hold its secrets."""
        return [name for name in map(str.strip, self.secret_env.split(",")) if name]

    def named(self, type_: str) -> str:
        """Return the name of an event of the sender's `type_`."""
        plain = _TYPE.sub("_", type_) or "unknown"
        return self.event.replace("{type}", plain)[:MAX_NAME]

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came: the headers with lower-case names, and the body as it came."""

    headers: Mapping[str, str]
    body: bytes


def check(hook: Webhook, delivery: Delivery, secrets: Sequence[str], now_s: int) -> None:
    """Raise Unsigned, saying what is wrong, unless one of `secrets` signed the delivery."""
    headers, body = delivery.headers, delivery.body
    match hook.preset:
        case "github":
            given = [_header(headers, "X-Hub-Signature-256").removeprefix("sha256=")]
            signed = body
        case "stripe":
            parts = _header(headers, "Stripe-Signature").split(",")
            pairs = [part.strip().partition("=") for part in parts]
            moment = next((value for name, _, value in pairs if name == "t"), "")
            given = [value for name, _, value in pairs if name == "v1"][:10]
            _check_moment(moment, now_s)
            signed = moment.encode() + b"." + body
        case "slack":
            given = [_header(headers, "X-Slack-Signature").removeprefix("v0=")]
            moment = _header(headers, "X-Slack-Request-Timestamp")
            _check_moment(moment, now_s)
            signed = b"v0:" + moment.encode() + b":" + body
        case _:
            given = [_header(headers, hook.header).removeprefix("sha256=")]
            signed = body
    digests = [hmac.new(secret.encode(), signed, sha256).digest() for secret in secrets]
    right = [
        form for digest in digests for form in (digest.hex().encode(), base64.b64encode(digest))
    ]
    found = False
    for each in given:
        for wanted in right:
            found |= hmac.compare_digest(wanted, each.strip().encode("utf-8", "replace"))
    if not found:
        raise Unsigned("the signature is not that of this body and secret")


def read(hook: Webhook, delivery: Delivery, now_ms: int) -> Event[Any]:
    """Return the event that a delivery becomes; the same delivery becomes the same event.

    Raises UsageError, naming the place, where its body is no JSON object and no form.
    """
    data = _data(delivery)
    type_, id_ = _told(hook, delivery, data)
    id_ = id_ or sha256(delivery.body).hexdigest()[:32]
    return Event(hook.named(type_), data, f"{hook.id}:{id_}"[:MAX_NAME], now_ms)


def challenge(hook: Webhook, event: Event[Any]) -> str | None:
    """Return what Slack wants to be told back when it checks an address, None for all else."""
    if hook.preset == "slack" and event.data.get("type") == "url_verification":
        return str(event.data.get("challenge", ""))
    return None


def _told(hook: Webhook, delivery: Delivery, data: Mapping[str, Any]) -> tuple[str, str]:
    """Return the sender's type and id of a delivery, "" where it has none."""
    headers = delivery.headers
    if hook.preset == "github":
        return headers.get("x-github-event", ""), headers.get("x-github-delivery", "")
    inner = data.get("event") if hook.preset == "slack" else None
    type_ = inner.get("type") if isinstance(inner, dict) else data.get("type")
    named = {"stripe": data.get("id"), "slack": data.get("event_id")}
    id_ = named.get(hook.preset, headers.get(hook.id_header.lower()))
    return (type_ if isinstance(type_, str) else ""), (id_ if isinstance(id_, str) else "")


def _data(delivery: Delivery) -> dict[str, Any]:
    try:
        text = delivery.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"the body is not UTF-8 at byte {error.start}") from None
    if delivery.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=1_000))
        if "payload" not in form:
            return dict(form)
        text = form["payload"]
    try:
        data = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        raise UsageError(f"the body is not JSON at {at}: {error.msg}") from None
    except RecursionError:
        raise UsageError("the body is nested too deeply") from None
    if not isinstance(data, dict):
        raise UsageError(f"the body must be a JSON object, not {type(data).__name__}")
    return data


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower(), "")
    if not value:
        raise Unsigned(f"the header {name} is missing")
    return value


def _check_moment(moment: str, now_s: int) -> None:
    if not (moment.isascii() and moment.isdigit() and len(moment) < 12):
        raise Unsigned("the signature has no moment")
    apart = now_s - int(moment)
    if abs(apart) > TOLERANCE_S:
        raise Unsigned(f"signed {apart} s ago, beyond the {TOLERANCE_S} s that are taken")


def _refuse(constant: str) -> None:
    raise UsageError(f"the body is not JSON: {constant} is no number there")
