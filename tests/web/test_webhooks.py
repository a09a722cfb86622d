"""`POST /w/<webhook>`: taken, refused, counted, audited; configured by page, API and command line."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from starlette.testclient import TestClient
from web.test_access import ACCESS, bearer
from web.test_intake import sent

from qflow.core.event import MAX_EVENT_BYTES
from qflow.core.webhook import Webhook
from qflow.store import webhook
from qflow.store.keys import Keys
from qflow.store.redis import Redis

SECRET = "a-secret-of-github"
BODY = json.dumps({"ref": "main", "password": "x"}).encode()


@pytest.fixture
def hook(redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Webhook:
    """A webhook of GitHub's, with its secret in the environment."""
    monkeypatch.setenv("GH_SECRET", SECRET)
    made = Webhook("gh", "github", "github/{type}", "GH_SECRET")
    webhook.save(redis, keys, made)
    return made


def deliver(client: TestClient, body: bytes = BODY, secret: str = SECRET, **more: str) -> Any:
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    headers = {
        "X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "d-1", **more,
    }  # fmt: skip
    return client.post("/w/gh", content=body, headers=headers)


def test_a_signed_delivery_becomes_an_event_without_a_login(
    visit: Callable[..., TestClient], hook: Webhook, redis: Redis, keys: Keys
) -> None:
    client = visit(ACCESS, at="qflow.example")
    reply = deliver(client)
    assert (reply.status_code, reply.json()) == (200, {"ids": ["gh:d-1"], "status": 200})
    (entry,) = sent(redis, keys)
    assert (entry["name"], entry["id"]) == ("github/push", "gh:d-1")
    assert json.loads(entry["data"]) == {"ref": "main", "password": "x"}


def test_what_is_refused_is_counted_listed_and_audited_once_a_minute(
    client: TestClient, hook: Webhook, redis: Redis, keys: Keys
) -> None:
    for _ in range(3):
        assert deliver(client, secret="wrong").status_code == 401
    assert deliver(client, b"{").status_code == 400
    assert deliver(client, b" " * (MAX_EVENT_BYTES + 1)).status_code == 413
    assert deliver(client).status_code == 200
    assert len(sent(redis, keys)) == 1
    (told,) = client.get("/api/v1/webhooks").json()["webhooks"]
    assert (told["taken"], told["refused"]) == (1, 5)
    assert [each["status"] for each in told["last"]] == [200, 413, 400, 401, 401, 401]
    assert "line 1 column 2" in told["last"][2]["why"]
    audited = [each["what"] for each in client.get("/api/v1/audit").json()["audit"]]
    assert audited == ["/w/gh refused"]


def test_a_missing_secret_is_the_dashboards_fault(
    client: TestClient, hook: Webhook, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GH_SECRET")
    reply = deliver(client, secret="")
    assert (reply.status_code, "set GH_SECRET" in reply.json()["error"]) == (503, True)
    assert "Its secret is not set here" in client.get("/webhooks").text
    assert sent(redis, keys) == []


def test_no_webhook_no_event(client: TestClient, hook: Webhook, redis: Redis, keys: Keys) -> None:
    assert client.post("/w/other", content=BODY).status_code == 404
    assert client.get("/w/gh").status_code == 405
    assert sent(redis, keys) == []


def test_the_page_configures(client: TestClient, redis: Redis, keys: Keys) -> None:
    assert "No webhooks" in client.get("/webhooks").text
    fields = {"id": "st", "preset": "stripe", "event": "stripe/{type}", "secret_env": "ST"}
    wrong = client.post("/webhooks", data={**fields, "event": "qflow/x"})
    assert (wrong.status_code, "reserved" in wrong.text) == (400, True)
    assert 'value="st"' in wrong.text
    assert client.post("/webhooks", data=fields).status_code == 303
    page = client.get("/webhooks").text
    assert "POST /w/st" in page
    assert "stripe/{type}" in page
    assert client.post("/webhooks/st/remove").status_code == 303
    assert client.post("/webhooks/st/remove").status_code == 404
    assert redis.call("KEYS", f"{keys.ns}:webhooks*") == []


def test_only_admins_configure(visit: Callable[..., TestClient], hook: Webhook) -> None:
    client = visit(ACCESS, at="qflow.example")
    body = {"id": "x", "preset": "hmac", "event": "a", "secret_env": "S"}
    for role, status in (("viewer", 403), ("operator", 403), ("admin", 200)):
        reply = client.post("/api/v1/webhooks", json=body, headers=bearer(role))
        assert reply.status_code == status, role
    assert client.get("/webhooks", headers=bearer("viewer")).status_code == 200
    assert "Add or change" not in client.get("/webhooks", headers=bearer("operator")).text
    reply = client.post("/api/v1/webhooks", json={"id": 1}, headers=bearer("admin"))
    assert reply.status_code == 400
    gone = client.post("/api/v1/webhooks/x/remove", headers=bearer("admin"))
    assert gone.json() == {"removed": "x"}
