"""Who may do what: tokens, sessions, roles, forged requests, the audit log."""

from __future__ import annotations

import time
from typing import Any

import pytest
from read.scenes import Scene
from starlette.testclient import TestClient

from qflow.config import Settings
from qflow.errors import ConfigError
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.web import server
from qflow.web.access import SESSION_S, Access, read_access
from qflow.web.api import ENDPOINTS
from qflow.web.app import PAGES

SECRETS = {role: f"{role}-0123456789abcdef" for role in ("viewer", "operator", "admin")}
ACCESS = read_access(",".join(f"{r}1:{r}:{s}" for r, s in SECRETS.items()), "")


PERSON = {"Accept": "text/html"}


def bearer(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[role]}"}


@pytest.fixture
def guarded(visit: Any) -> TestClient:
    """A client of a dashboard with tokens."""
    client: TestClient = visit(ACCESS, at="qflow.example")
    return client


def filled(path: str) -> str:
    return path.format(
        function="pay",
        run="R",
        event="1-1",
        approval="A",
        decision="approve",
        what="retry-now",
        fingerprint="F",
        other="R",
        webhook="W",
        bulk="B",
    )


def test_nothing_is_reachable_without_credentials(guarded: TestClient) -> None:
    for place in PAGES:
        method = "POST" if place.post else "GET"
        assert guarded.request(method, filled(place.path)).status_code == 401, place.path
        reply = guarded.request(method, filled(place.path), headers=PERSON)
        assert reply.status_code == 303, place.path
        assert reply.headers["location"].startswith("/login?next=")
    for each in ENDPOINTS:
        assert guarded.request(each.method, filled(each.path)).status_code == 401, each.path
    assert guarded.get("/live").status_code in (303, 401)
    assert guarded.get("/healthz").status_code == 200
    assert guarded.get("/runs", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_roles(guarded: TestClient, scene: Scene) -> None:
    assert guarded.get("/runs", headers=bearer("viewer")).status_code == 200
    event = {"name": "a/b"}
    refused = guarded.post("/api/v1/events", json=event, headers=bearer("viewer"))
    assert (refused.status_code, "takes the role operator" in refused.text) == (403, True)
    assert guarded.post("/api/v1/events", json=event, headers=bearer("operator")).status_code == 200
    assert guarded.get("/audit", headers=bearer("operator")).status_code == 403
    log = guarded.get("/api/v1/audit", headers=bearer("admin")).json()["audit"]
    assert [(each["who"], each["what"]) for each in log] == [("operator1", "/api/v1/events")]


def test_logging_in_and_out(guarded: TestClient) -> None:
    assert guarded.get("/login?next=/runs").status_code == 200
    reply = guarded.post("/login?next=/runs", data={"token": SECRETS["admin"]})
    assert (reply.status_code, reply.headers["location"]) == (303, "/runs")
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert guarded.get("/runs").status_code == 200
    assert "admin1" in guarded.get("/audit").text
    assert guarded.post("/logout").headers["location"] == "/login"
    guarded.cookies.clear()
    assert guarded.get("/runs", headers=PERSON).status_code == 303


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_logging_in_leads_nowhere_else(guarded: TestClient, there: str) -> None:
    reply = guarded.post(f"/login?next={there}", data={"token": SECRETS["admin"]})
    assert reply.headers["location"] == "/"


def test_wrong_tokens_are_counted(guarded: TestClient) -> None:
    codes = [guarded.post("/login", data={"token": "wrong"}).status_code for _ in range(7)]
    assert codes == [403] * 5 + [429] * 2
    assert guarded.post("/login", data={"token": SECRETS["admin"]}).status_code == 429


def test_a_session_ends_and_cannot_be_made() -> None:
    who = ACCESS.by_token(SECRETS["viewer"])
    assert who is not None
    now = time.time()
    cookie = ACCESS.session(who, now)
    assert ACCESS.by_session(cookie, now + SESSION_S - 2) == who
    assert ACCESS.by_session(cookie, now + SESSION_S + 2) is None
    assert ACCESS.by_session(cookie.replace("viewer1", "admin1"), now) is None
    for bad in ("", "viewer1", "viewer1.9.x", "viewer1.²." + "0" * 64, "x" * 10_000, cookie[:-1]):
        assert ACCESS.by_session(bad, now) is None
    changed = read_access("viewer1:viewer:another-secret-123", "")
    assert changed.by_session(cookie, now) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_cannot_act(client: TestClient, headers: dict[str, str]) -> None:
    for path in ("/events/send", "/e/k", "/api/v1/events", "/login"):
        assert client.post(path, content="{}", headers=headers).status_code == 403
    assert client.get("/", headers=headers).status_code == 200


def test_own_pages_can_act(client: TestClient, redis: Redis, keys: Keys) -> None:
    own = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    form = {"name": "a/b", "data": '{"x": 1}', "id": ""}
    assert client.post("/events/send", data=form, headers=own).status_code == 303
    assert redis.call("XLEN", keys.events) == 1


def test_an_open_dashboard_answers_this_machine_only(visit: Any) -> None:
    for host, status in (("localhost:8288", 200), ("[::1]:1", 200), ("evil.example", 403)):
        assert visit().get("/", headers={"Host": host}).status_code == status


def test_an_open_dashboard_is_not_bound_elsewhere() -> None:
    with pytest.raises(ConfigError, match="it needs tokens"):
        server.access_of(Settings(dashboard_host="0.0.0.0"))
    tokens = "ada:admin:0123456789abcdef"
    assert not server.access_of(Settings(dashboard_host="0.0.0.0", dashboard_tokens=tokens)).is_open


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("secret", "write name:role:secret"),
        ("ada:boss:0123456789abcdef", "role 'boss' is none of"),
        ("ada:admin:short", "at least 16 characters"),
    ],
)
def test_tokens_that_cannot_be_read(tokens: str, words: str) -> None:
    with pytest.raises(ConfigError, match="QFLOW_DASHBOARD_TOKENS, entry 1.*" + words):
        read_access(tokens, "")
    assert Access().is_open
