"""A workflow's versions: source at each, what changed between two, what is under way."""

from __future__ import annotations

from read.scenes import Scene
from starlette.testclient import TestClient


def two(scene: Scene) -> None:
    for version, body in (("1", "return 1 < 2"), ("v2", "return 2 < 3")):
        scene.publish("pay", version=version, source=f"def pay():\n    {body}\n", backoff=None)


def test_the_source_at_a_version_and_what_changed(scene: Scene, client: TestClient) -> None:
    two(scene)
    run = scene.start("pay")  # of version 1
    page = client.get("/workflows/pay/versions").text
    assert "in force" in page
    assert "code?version=v2&amp;against=1" in page
    old = client.get("/workflows/pay/code?version=1").text
    assert "in force until" in old
    assert client.get("/workflows/pay/code").text.count("version v2") == 1
    changes = client.get("/workflows/pay/code?version=v2&against=1").text
    assert "    return 1 &lt; 2" in changes
    assert changes.count('class="less"') == changes.count('class="more-of"') == 1
    assert "/workflows/pay/code?version=1" in client.get(f"/runs/{run}").text
    told = client.get("/api/v1/functions/pay/versions").json()["versions"]
    assert [(each["version"], each["running"], each["last"] is None) for each in told[:2]] == [
        ("v2", 0, True),
        ("1", 1, False),
    ]


def test_a_version_that_is_not_kept(scene: Scene, client: TestClient) -> None:
    two(scene)
    refused = client.get("/workflows/pay/code?version=nope")
    assert (refused.status_code, "is not kept" in refused.text) == (404, True)
