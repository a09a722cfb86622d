"""What an operator does to runs and workflows from the dashboard and its API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases.world import World
from starlette.testclient import TestClient

import qflow
from qflow.core.event import Event
from qflow.engine.bulk import Bulks
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep
from qflow.testing.server import RedisServer


@pytest.fixture
def world(redis: Redis, redis_server: RedisServer, keys: Keys, tmp_path: Path) -> Iterator[World]:
    """A worker of `ship`, which fails without an address, and of `nap`, which sleeps or retries."""
    with World(redis_server.url, keys, tmp_path) as made:
        ran: list[str] = []

        def pack() -> None:
            ran.append("pack")

        def post(data: dict[str, Any]) -> str:
            ran.append("post")
            if not data.get("address"):
                raise qflow.NonRetriableError(f"order {data['id']} has no address")
            return f"to {data['address']}, packed {ran.count('pack')} times"

        @made.app.function("ship", trigger="order/paid")
        def ship(event: Event, step: Any) -> Any:
            step.run("pack", pack)
            return step.run("post", post, event.data)

        tries: list[int] = []

        def get_up() -> None:
            tries.append(1)
            if len(tries) == 1:
                raise RuntimeError("five more minutes")

        @made.app.function("nap", trigger="nap", backoff=qflow.Backoff("1h", jitter=False))
        def nap(event: Event, step: Any) -> str:
            step.sleep("rest", event.data["rest"])
            step.run("try", get_up)
            return "up"

        made.serve()
        made.worker()
        yield made


def went(client: TestClient, path: str, form: dict[str, str] | None = None) -> str:
    """Act, and return the run that the answer leads to."""
    reply = client.post(path, data=form or {})
    assert reply.status_code == 303, reply.text
    return reply.headers["location"].rpartition("/")[2]


def test_a_failed_run_again_from_a_step_with_other_input(world: World, client: TestClient) -> None:
    failed = world.ended(world.send("order/paid", {"id": 1}), "ship").id
    assert '<option value="post"' in client.get(f"/runs/{failed}/again").text
    path = f"/runs/{failed}/again"
    assert "line 1 column" in client.post(path, data={"step": "", "data": "{"}).text
    assert client.post(path, data={"step": "nope", "data": ""}).status_code == 404
    edit = '[{"id": 1, "address": "Elm Street"}]'
    new = went(client, path, {"step": "post", "data": edit})
    told = world.until_status(new, "completed")
    assert told.output == "to Elm Street, packed 1 times"
    assert failed[-8:] in client.get(f"/runs/{new}").text
    assert new[-8:] in client.get(f"/runs/{failed}").text
    whole = client.post(f"/api/v1/runs/{failed}/rerun", json={"data": {"id": 1, "address": "Oak"}})
    assert world.until_status(whole.json()["id"], "completed").output.startswith("to Oak")


def test_a_group_of_failures_is_replayed_once(world: World, client: TestClient) -> None:
    for number in range(3):
        world.ended(world.send("order/paid", {"id": number}), "ship")
    action = client.get("/errors").text.split('action="')[1].split('"')[0]
    reply = client.post(action)
    assert reply.status_code == 303
    assert '0</b> <span class="dim">of 3' in client.get(reply.headers["location"]).text
    Bulks(world.redis, world.keys, Keep(500, 700), "me").work()
    world.until(lambda: len(world.redis.call("ZRANGE", world.keys.runs, 0, -1)) == 6, "six runs")
    assert client.post("/errors/nothing/replay").status_code == 404


def test_a_sleep_is_skipped_and_a_retry_hurried(world: World, client: TestClient) -> None:
    run = world.run_of(world.send("nap", {"rest": "1h"}), "nap")
    world.until_status(run, "waiting")
    assert "Skip the sleep" in client.get(f"/runs/{run}").text
    went(client, f"/runs/{run}/hurry/skip-sleep")
    world.until(lambda: world.look(run).told("retry"), "the first try to fail")
    world.until_status(run, "waiting")
    assert "Retry now" in client.get(f"/runs/{run}").text
    went(client, f"/runs/{run}/hurry/retry-now")
    assert world.until_status(run, "completed").output == "up"
    assert client.post(f"/runs/{run}/hurry/retry-now").status_code == 409
    assert client.post(f"/runs/{run}/hurry/up").status_code == 404


def test_a_run_is_cancelled_with_the_name_of_who_did(world: World, client: TestClient) -> None:
    run = world.run_of(world.send("nap", {"rest": "1h"}), "nap")
    world.until_status(run, "waiting")
    assert went(client, f"/runs/{run}/cancel") == run
    page = client.get(f"/runs/{run}").text
    assert "Cancelled: by local" in page
    again = client.post(f"/api/v1/runs/{run}/cancel")
    assert (again.status_code, "it is cancelled" in again.json()["error"]) == (409, True)


def test_a_workflow_is_paused_and_resumed(world: World, client: TestClient) -> None:
    assert client.post("/workflows/ship/pause", data={"how": "why"}).status_code == 400
    went(client, "/workflows/ship/pause")
    assert "paused, holding" in client.get("/").text
    held = world.run_of(world.send("order/paid", {"id": 1, "address": "a"}), "ship")
    assert "Its workflow is paused" in client.get(f"/runs/{held}").text
    went(client, "/workflows/ship/resume")
    world.until_status(held, "completed")
    assert client.post("/workflows/ship/resume").status_code == 409
    assert client.post("/api/v1/functions/ship/pause", json={"how": "skip"}).json() == {
        "paused": "skip"
    }
    assert client.post("/api/v1/functions/nope/resume", json={}).status_code == 404
