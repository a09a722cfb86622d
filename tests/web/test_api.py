"""The HTTP interface gives what the pages show, and its document names all of it."""

from __future__ import annotations

from typing import Any

import pytest
from read.scenes import Scene
from starlette.testclient import TestClient

from qflow.web.api import ENDPOINTS, document


def get(client: TestClient, path: str, status: int = 200) -> Any:
    reply = client.get(f"/api/v1/{path}")
    assert reply.status_code == status, reply.text
    return reply.json()


def test_functions_and_runs(scene: Scene, client: TestClient) -> None:
    run = scene.start("pay")
    scene.claim().open("charge").store({"x": 1}, took_ms=7).complete("ok")
    functions = {each["id"]: each for each in get(client, "functions")["functions"]}
    assert functions["pay"]["runs"]["completed"] == 1
    assert functions["pay"]["failure_rate"] == 0
    assert get(client, "functions/pay")["source"].startswith("def pay")
    assert [each["id"] for each in get(client, "runs?q=function:pay&limit=1")["runs"]] == [run]
    told = get(client, f"runs/{run}")
    assert (told["output"], told["steps"][0]["id"], told["spent_ms"]["running"]) == (
        "ok",
        "charge",
        7,
    )


def test_errors_workers_and_health(scene: Scene, client: TestClient) -> None:
    scene.start("pay")
    scene.claim().open("charge").store_error().fail()
    (group,) = get(client, "errors")["errors"]
    assert (group["function"], group["name"], group["count"]) == ("pay", "ValueError", 1)
    (worker,) = get(client, "workers")["workers"]
    assert (worker["name"], worker["live"]) == ("w1", True)
    assert {each["what"] for each in get(client, "health")["findings"]} >= {"router", "workers"}


def test_an_event_says_what_ignored_it(scene: Scene, client: TestClient) -> None:
    scene.publish("pay", "ship", "later", triggers=[{"event": "a/*", "when": "event.data.n > 1"}])
    sent = client.post("/api/v1/events", json={"name": "a/b", "data": {"n": 1}}).json()
    told = get(client, f"events/{sent['ids'][0]}")
    assert told["runs"] == []
    assert {each["function"] for each in told["ignored"]} == {"pay", "ship", "later"}
    assert "event.data.n is 1" in told["ignored"][0]["why"]
    assert [row["name"] for row in get(client, "events?name=a/*")["events"]] == ["a/b"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("runs?limit=0", 400, "limit='0': a whole number from 1 to 500"),
        ("runs?limit=²", 400, "a whole number"),
        ("runs?q=color:red", 400, "'color' is no qualifier"),
        ("runs?cursor=x", 400, "leave it out to begin anew"),
        ("runs/NOPE", 404, "no run 'NOPE'"),
        ("functions/nope", 404, "no function 'nope'"),
        ("events/nope", 404, "no event 'nope'"),
        ("nothing", 404, "there is no such page"),
    ],
)
def test_bad_input_is_named(
    scene: Scene, client: TestClient, path: str, status: int, words: str
) -> None:
    told = get(client, path, status)
    assert told["status"] == status
    assert words in told["error"]


def test_the_document_names_every_endpoint(client: TestClient) -> None:
    paths = get(client, "openapi.json")["paths"]
    named = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    assert named >= {(each.path, each.method) for each in ENDPOINTS[:-1]}
    assert document("/x")["servers"] == [{"url": "/x"}]
