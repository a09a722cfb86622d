"""The page of one run: what its steps said, by level."""

from __future__ import annotations

import json

from read.scenes import Scene
from starlette.testclient import TestClient

LINES = [[1, "print", "one <b>"], [2, "warning", "shop: two"], [3, "error", "three\nTraceback"]]


def said(scene: Scene) -> str:
    run = scene.start("pay")
    scene.claim().open("charge").store(1, log=json.dumps(LINES)).complete("ok")
    return run


def test_what_steps_said_is_shown_by_level(scene: Scene, client: TestClient) -> None:
    run = said(scene)
    page = client.get(f"/runs/{run}").text
    assert "3 lines" in page
    assert page.count("one &lt;b&gt;") == 2  # under Logs, and with its attempt
    part = client.get(f"/runs/{run}?level=warning", headers={"hx-request": "true"}).text
    assert "2 lines, warning and above" in part
    assert part.count("one &lt;b&gt;") == 1
    assert f"/runs/{run}?level=warning" in part  # what a live update asks for
    refused = client.get(f"/runs/{run}?level=loud")
    assert (refused.status_code, "is none of debug, info" in refused.text) == (400, True)


def test_the_api_gives_the_lines(scene: Scene, client: TestClient) -> None:
    run = said(scene)
    told = client.get(f"/api/v1/runs/{run}").json()
    assert told["steps"][0]["attempts"][0]["log"] == LINES
    lines = client.get(f"/api/v1/runs/{run}/logs?level=error").json()["lines"]
    assert [(each["step"], each["attempt"], each["level"]) for each in lines] == [
        ("charge", 0, "error")
    ]
    assert client.get(f"/api/v1/runs/{run}/logs?level=x").status_code == 400


def test_a_run_whose_steps_said_nothing_has_no_logs(scene: Scene, client: TestClient) -> None:
    run = scene.start("pay")
    scene.claim().open("charge").store(1).complete("ok")
    assert "Logs" not in client.get(f"/runs/{run}").text


def test_a_run_again_from_a_step_shows_what_that_was_called_with(
    scene: Scene, client: TestClient
) -> None:
    run = scene.start("pay")
    log = json.dumps([[0, "input", '[{"id": 7}]'], [1, "print", "hello"]])
    scene.claim().open("charge").store(1, log=log).complete("ok")
    page = client.get(f"/runs/{run}").text
    assert f"/runs/{run}/again?step=charge" in page
    form = client.get(f"/runs/{run}/again?step=charge").text
    assert "What charge was called with" in form
    assert "Called with" in page
    assert "was called with" not in client.get(f"/runs/{run}/again").text
