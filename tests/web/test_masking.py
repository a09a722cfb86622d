"""No page, answer of the API or line of the audit log shows what is masked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from read.scenes import Scene, waiting
from starlette.testclient import TestClient

from qflow.config import Settings
from qflow.read.masked import MASKED, Mask
from qflow.read.opened import Opener
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.web.access import Access, read_access
from qflow.web.api import ENDPOINTS
from qflow.web.app import PAGES, create_app
from qflow.web.exchange import Site

SECRET = "hunter2-in-clear"
OUTPUT = "tok-4711-0815"
TOKENS = {role: f"{role}-0123456789abcdef" for role in ("operator", "admin")}
ACCESS = read_access(",".join(f"{r}1:{r}:{s}" for r, s in TOKENS.items()), "")
DATA = {"user": {"name": "Jane", "password": SECRET}, "note": f"password={SECRET}"}
HARMLESS = "Jane"

Visit = Callable[..., TestClient]


@pytest.fixture
def masking(redis: Redis, keys: Keys) -> Visit:
    """Gives a client of a dashboard that masks."""

    def visit(access: Access | None = None, **more: Any) -> TestClient:
        opener = Opener(mask=Mask(Settings().masked.split(",")))
        site = Site(redis, keys, access or Access(), opener=opener, **more)
        return TestClient(create_app(site), base_url="http://localhost", follow_redirects=False)

    return visit


@pytest.fixture
def told(scene: Scene, redis: Redis, keys: Keys) -> dict[str, str]:
    """An event, a rejected one, a failed, a completed and a waiting run, with secrets in all of them."""
    when = "event.data.user.password == 'other'"
    scene.publish("pay", "ship", triggers=[{"event": "order/paid", "when": when}])
    data = json.dumps(DATA)
    entry = redis.call("XADD", keys.events, "*", "name", "order/paid", "data", data)
    redis.call(
        "XADD", keys.rejected, "*", "name", "x", "data", data, "reason", f"token: {SECRET}", "entry", "1-1"
    )  # fmt: skip
    redis.call("XADD", keys.rejected, "*", "data", f'{{"password": "{SECRET}"', "reason", "broken")
    failed = scene.start("pay", DATA)
    hand = scene.claim().open("log-in").store({"access_token": OUTPUT})
    hand.fail()
    error = {
        "name": "Denied",
        "message": f"password={SECRET}",
        "traceback": f"log_in(password='{SECRET}')",
    }
    redis.call("HSET", keys.run(failed), "error", json.dumps(error))
    done = scene.start("pay", DATA)
    scene.claim().complete({"token": OUTPUT, "greeting": f"hello, {OUTPUT}"})
    asked = scene.start("ship", DATA)
    approval = {"title": f"log in with password: {SECRET}?", "assignee": "jane"}
    scene.claim().fork(
        ask=waiting(
            "approval", "ask", approval["title"], approval=approval, signal="a-1", refused="{}"
        )
    )
    return {"failed": failed, "done": done, "asked": asked, "event": entry.decode()}


def test_no_page_and_no_answer_shows_it(masking: Visit, told: dict[str, str]) -> None:
    client = masking()
    shown = set()
    paths = [place.path for place in PAGES if not place.post]
    paths += [each.path for each in ENDPOINTS if each.method == "GET"]
    queries = {
        "/events/send": [f"?again={told['event']}"],
        "/api/v1/events": ["", "?rejected=1"],
        "/bulk/new": ["?kind=rerun"],
        "/runs": ["", f"?q={told['failed']}"],
    }
    for path in paths:
        for run in (told["failed"], told["done"], told["asked"]) if "{run}" in path else ("",):
            filled = path
            for name, value in {
                "run": run,
                "event": told["event"],
                "function": "pay",
                "other": told["done"],
            }.items():
                filled = filled.replace(f"{{{name}}}", value)
            for more in queries.get(path, [""]):
                if "{" in filled:
                    continue
                reply = client.get(filled + more)
                assert reply.status_code in (200, 303) or "of one function" in reply.text, filled
                assert SECRET not in reply.text, filled
                assert OUTPUT not in reply.text, filled
                if MASKED in reply.text or "[masked]" in reply.text:
                    shown.add(path)
    assert {
        "/runs/{run}", "/runs/{run}/json", "/runs/{run}/again", "/events", "/events/{event}",
        "/events/send", "/events/rejected", "/approvals", "/runs", "/errors", "/api/v1/runs/{run}",
        "/api/v1/events", "/api/v1/events/{event}", "/api/v1/runs", "/api/v1/errors",
    } <= shown  # fmt: skip


def test_an_event_sent_again_has_what_was_masked(
    masking: Visit, told: dict[str, str], redis: Redis, keys: Keys
) -> None:
    client = masking()
    shown = json.dumps({"user": {"name": "June", "password": MASKED}})
    fields = {"name": "order/paid", "data": shown, "id": "", "again": told["event"]}
    assert client.post("/events/send", data=fields).status_code == 303
    ((_, flat),) = redis.call("XREVRANGE", keys.events, "+", "-", "COUNT", 1)
    assert json.loads(flat[flat.index(b"data") + 1]) == {
        "user": {"name": "June", "password": SECRET}
    }
    reply = client.post("/events/send", data={**fields, "again": ""})
    assert (reply.status_code, "write one" in reply.text) == (400, True)


def test_a_run_again_has_what_was_masked(
    masking: Visit, told: dict[str, str], redis: Redis, keys: Keys
) -> None:
    data = json.dumps({"user": {"name": "June", "password": MASKED}})
    reply = masking().post(f"/runs/{told['failed']}/again", data={"step": "", "data": data})
    run = reply.headers["location"].rpartition("/")[2]
    event = json.loads(redis.call("HGET", keys.run(run), "event"))
    assert event["data"] == {"user": {"name": "June", "password": SECRET}}


def test_the_audit_log_has_no_secrets(
    masking: Visit, told: dict[str, str], redis: Redis, keys: Keys
) -> None:
    client = masking()
    client.post(
        "/events/send", data={"name": "a", "data": json.dumps(DATA), "id": f"token={SECRET}"}
    )
    ((_, flat),) = redis.call("XRANGE", keys.audit, "-", "+")
    assert SECRET.encode() not in b"".join(flat)
    assert HARMLESS.encode() in b"".join(flat)


def test_only_whom_the_settings_name_may_unmask(masking: Visit, told: dict[str, str]) -> None:
    path = f"/runs/{told['failed']}?unmask=1"
    admin = {"Authorization": f"Bearer {TOKENS['admin']}"}
    operator = {"Authorization": f"Bearer {TOKENS['operator']}"}
    closed, open_ = masking(ACCESS), masking(ACCESS, unmask="admin")
    assert closed.get(path, headers=admin).status_code == 403
    assert open_.get(path, headers=operator).status_code == 403
    masked = open_.get(path.partition("?")[0], headers=admin)
    assert "Show masked values" in masked.text
    assert SECRET not in masked.text
    shown = open_.get(path, headers=admin)
    assert SECRET in shown.text
    (note,) = open_.get("/api/v1/audit", headers=admin).json()["audit"]
    assert (note["who"], note["what"]) == ("admin1", f"/runs/{told['failed']} unmasked")
