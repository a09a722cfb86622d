"""Every page answers, whatever the state of things, and shows what others wrote harmlessly."""

from __future__ import annotations

import re

import pytest
from read.scenes import Scene
from starlette.testclient import TestClient

from qflow.store.keys import Keys
from qflow.store.redis import Redis

NASTY = "<script>alert(1)</script>\u202e\x07\"'&"
LISTS = ("/", "/runs", "/events", "/events/rejected", "/errors", "/workers", "/health", "/audit")


def text(client: TestClient, path: str, status: int = 200, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = client.get(path, headers=named)
    assert reply.status_code == status, reply.text
    return reply.text


@pytest.mark.parametrize("path", [*LISTS, "/events/send", "/health?audit=1"])
def test_an_empty_namespace_has_all_pages(client: TestClient, path: str) -> None:
    assert "<h1" in text(client, path)


def test_runs_in_every_state_have_a_page(scene: Scene, client: TestClient) -> None:
    queued = scene.start("ship")
    done = scene.start("pay")
    scene.claim()  # the older of the two
    scene.claim().open("charge").store({"x": 1}).complete("ok")
    runs = {queued: "running", done: "completed"}
    runs[scene.start("pay")] = "failed"
    scene.claim().open("charge").store_error().fail()
    runs[scene.start("pay")] = "waiting"
    scene.claim().open("charge").again(60_000)
    runs[scene.start("pay")] = "sleeping in &#39;nap&#39;"
    scene.claim().sleep("nap", 60_000)
    runs[scene.start("pay")] = "in the queue with one job"
    for run, words in runs.items():
        page = text(client, f"/runs/{run}").lower()
        assert words in page
        assert words in text(client, f"/runs/{run}", HX_Request="true").lower()
        assert text(client, f"/runs/{run}/history")
    for path in (
        *LISTS,
        "/workflows/pay",
        "/workflows/pay/steps",
        "/workflows/pay/code",
        "/workflows/pay/configuration",
    ):
        assert "pay" in text(client, path) or path not in ("/", "/runs", "/errors")


def test_the_source_is_shown_escaped(scene: Scene, client: TestClient) -> None:
    page = text(client, "/workflows/pay/code")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page.split("panel source")[1]


@pytest.mark.parametrize("path", ["/events", "/events/{entry}", "/events/send?again={entry}"])
def test_what_others_wrote_is_harmless(
    redis: Redis, keys: Keys, client: TestClient, path: str
) -> None:
    entry = redis.call(
        "XADD", keys.events, "*", "name", "a/" + NASTY[:20], "data", '{"k": "<script>\\u0007"}'
    )
    redis.call("XADD", keys.rejected, "*", "reason", NASTY, "data", NASTY, "entry", "1-1")
    for page in (text(client, path.format(entry=entry.decode())), text(client, "/events/rejected")):
        assert "<script>" not in page
        assert "\u202e" not in page
        assert "\x07" not in page


def test_what_is_not_there_is_404(scene: Scene, client: TestClient) -> None:
    for path in ("/nope", "/runs/NOPE", "/workflows/nope", "/events/nope", "/runs/a%2f..%2fb"):
        page = text(client, path, 404, Accept="text/html")
        assert "Not found" in page
    assert "did you mean &#39;ship&#39;?" in text(
        client, "/workflows/shipp", 404, Accept="text/html"
    )


def test_a_strict_policy_that_the_pages_keep(scene: Scene, client: TestClient) -> None:
    run = scene.start("pay")
    for path in (*LISTS, f"/runs/{run}", "/workflows/pay", "/events/send"):
        reply = client.get(path)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        page = reply.text
        assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page) == []
        assert re.findall(r"""(?:src|href|action)=["'](?:https?:)?//""", page) == []


def test_it_lives_under_a_prefix(scene: Scene, visit: object) -> None:
    client = visit(prefix="/ops")  # type: ignore[operator]
    run = scene.start("pay")
    for path in ("/", "/runs", f"/runs/{run}", "/workflows/pay", "/events"):
        page = text(client, f"/ops{path}")
        links = re.findall(r"""(?:href|src|action|hx-get)=["'](/[^"']*)""", page)
        assert links
        assert [link for link in links if not link.startswith("/ops/")] == []
    assert text(client, "/ops/static/look.css")
    assert client.get("/runs").status_code == 404


def test_a_lost_redis_is_said_and_comes_back(
    scene: Scene, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qflow.errors import RedisUnavailable

    def lost(*_: object, **__: object) -> None:
        raise RedisUnavailable("no Redis at x: refused")

    with monkeypatch.context() as patched:
        patched.setattr(scene.redis, "send", lost)
        page = text(client, "/runs", 503, Accept="text/html")
        assert "Redis is out of reach" in page
        assert client.get("/api/v1/runs").json() == {
            "error": "no Redis at x: refused",
            "status": 503,
        }
        assert client.get("/healthz").status_code == 200
    assert text(client, "/runs")


def test_a_rejected_event_is_mended_and_leaves_the_list(
    client: TestClient, redis: Redis, keys: Keys
) -> None:
    fields = ("name", "user/created", "data", '{"name": ', "reason", "not JSON", "entry", "1-1")
    entry = redis.call("XADD", keys.rejected, "*", *fields).decode()
    form = text(client, f"/events/send?rejected={entry}")
    assert 'value="user/created"' in form
    assert "{&#34;name&#34;: " in form
    broken = {"name": "user/created", "data": '{"name": ', "id": "", "rejected": entry}
    assert client.post("/events/send", data=broken).status_code == 400
    assert redis.call("XLEN", keys.rejected) == 1
    mended = {**broken, "data": '{"name": "Jane"}'}
    assert client.post("/events/send", data=mended).status_code == 303
    assert (redis.call("XLEN", keys.rejected), redis.call("XLEN", keys.events)) == (0, 1)
    assert client.post("/events/send", data=mended).status_code == 404
