"""Signatures of webhooks, held to what the senders' own documentation gives, and the events they become."""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from qflow.core.webhook import Delivery, Unsigned, Webhook, challenge, check, read
from qflow.errors import QflowError, UsageError

NOW = 1_531_420_618
GITHUB = Webhook("gh", "github", "github/{type}", "S")
STRIPE = Webhook("st", "stripe", "stripe/{type}", "S")
SLACK = Webhook("sl", "slack", "slack/{type}", "S")
PLAIN = Webhook("in", "hmac", "crm/changed", "S", "X-Sign", "X-Id")
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
    b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
FORM = "application/x-www-form-urlencoded"


def digest(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, sha256).hexdigest()


def delivery(body: Any, **headers: str) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery({name.replace("_", "-").lower(): value for name, value in headers.items()}, raw)


def test_githubs_own_example() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    came = delivery(b"Hello, World!", X_Hub_Signature_256=signature)
    check(GITHUB, came, ["It's a Secret to Everybody"], NOW)
    with pytest.raises(Unsigned):
        check(GITHUB, came, ["another"], NOW)
    with pytest.raises(Unsigned):
        check(GITHUB, Delivery(came.headers, b"Hello, World?"), ["It's a Secret to Everybody"], NOW)


def test_slacks_own_example() -> None:
    came = delivery(
        SLACK_BODY,
        X_Slack_Signature="v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        X_Slack_Request_Timestamp=str(NOW),
        Content_Type=FORM,
    )
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    check(SLACK, came, [secret], NOW + 60)
    for late in (NOW + 301, NOW - 301):
        with pytest.raises(Unsigned, match="beyond the 300 s"):
            check(SLACK, came, [secret], late)
    assert read(SLACK, came, 1).data["channel_name"] == "foobar"


def test_stripe_signs_the_moment_and_may_sign_twice() -> None:
    body = json.dumps({"id": "evt_1", "type": "charge.failed"}).encode()
    right = digest("whsec_x", f"{NOW}.".encode() + body)
    came = delivery(body, Stripe_Signature=f"t={NOW},v1={'0' * 64},v0=abc, v1={right}")
    check(STRIPE, came, ["whsec_x"], NOW + 299)
    with pytest.raises(Unsigned, match="signed 301 s ago"):
        check(STRIPE, came, ["whsec_x"], NOW + 301)
    moved = delivery(body, Stripe_Signature=f"t={NOW + 1},v1={right}")
    with pytest.raises(Unsigned, match="is not that of"):
        check(STRIPE, moved, ["whsec_x"], NOW)
    event = read(STRIPE, came, 7)
    assert (event.name, event.id, event.ts) == ("stripe/charge.failed", "st:evt_1", 7)


@pytest.mark.parametrize("form", ["hex", "prefixed", "base64"])
def test_hmac_in_any_writing_with_any_of_its_secrets(form: str) -> None:
    body = b'{"a": 1}'
    found = digest("new", body)
    written = {
        "hex": found,
        "prefixed": f"sha256={found}",
        "base64": base64.b64encode(bytes.fromhex(found)).decode(),
    }[form]
    came = delivery(body, X_Sign=written, X_Id="d-1")
    check(PLAIN, came, ["old", "new"], NOW)
    event = read(PLAIN, came, 1)
    assert (event.name, event.data, event.id) == ("crm/changed", {"a": 1}, "in:d-1")


@pytest.mark.parametrize("hook", [GITHUB, STRIPE, SLACK, PLAIN])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Hub_Signature_256": "sha256=", "X_Sign": "", "Stripe_Signature": "t=,v1="},
        {"X_Hub_Signature_256": "ä", "X_Sign": "ä", "Stripe_Signature": "t=1531420618",
         "X_Slack_Signature": "v0=\u2028", "X_Slack_Request_Timestamp": "1531420618"},
        {"X_Slack_Signature": "v0=a", "X_Slack_Request_Timestamp": "²", "Stripe_Signature": "t=²,v1=a"},
    ],
)  # fmt: skip
def test_what_is_not_signed_is_refused(hook: Webhook, headers: dict[str, str]) -> None:
    with pytest.raises(Unsigned):
        check(hook, delivery({}, **headers), ["s"], NOW)
    with pytest.raises(Unsigned):
        check(hook, delivery({}, **headers), [], NOW)


def test_ids_come_from_the_delivery_or_from_its_body() -> None:
    came = delivery({"n": 1}, X_GitHub_Event="push", X_GitHub_Delivery="d-7")
    assert (read(GITHUB, came, 1).id, read(GITHUB, came, 1).name) == ("gh:d-7", "github/push")
    same = read(PLAIN, delivery({"n": 1}), 1).id
    assert read(PLAIN, delivery({"n": 1}), 9).id == same
    assert read(PLAIN, delivery({"n": 2}), 9).id != same
    slack = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}
    event = read(SLACK, delivery(slack), 1)
    assert (event.name, event.id) == ("slack/app_mention", "sl:Ev1")


def test_a_senders_type_makes_no_strange_names() -> None:
    assert read(GITHUB, delivery({}, X_GitHub_Event="a b\n<x>"), 1).name == "github/a_b_x_"
    assert read(GITHUB, delivery({}), 1).name == "github/unknown"
    assert len(read(GITHUB, delivery({}, X_GitHub_Event="x" * 999), 1).name) == 255


def test_slacks_question_is_answered() -> None:
    asked = read(SLACK, delivery({"type": "url_verification", "challenge": "c-1"}), 1)
    assert challenge(SLACK, asked) == "c-1"
    assert challenge(SLACK, read(SLACK, delivery({"type": "event_callback"}), 1)) is None
    assert challenge(PLAIN, asked) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON at line 1 column 1"),
        (b'{"a": }', "not JSON at line 1 column 7"),
        (b"[1]", "must be a JSON object, not list"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_event_is_refused_with_its_place(body: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(PLAIN, Delivery({}, body), 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "a/b"}, "webhook id 'a/b'"),
        ({"preset": "md5"}, "none of github, stripe"),
        ({"secret_env": "sk_live_1; rm"}, "never the secret"),
        ({"secret_env": ","}, "never the secret"),
        ({"event": "qflow/x"}, "reserved"),
        ({"event": ""}, "needs a name"),
        ({"header": "X Y"}, "header 'X Y'"),
    ],
)
def test_what_cannot_be_configured(change: dict[str, str], words: str) -> None:
    with pytest.raises(QflowError, match=words):
        Webhook(**{**PLAIN.as_dict(), **change})
