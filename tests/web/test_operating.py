"""Schedules and limits: when each fires next, who holds and who waits."""

from __future__ import annotations

from read.scenes import Scene
from starlette.testclient import TestClient

CRON = {"cron": "0 8 * * MON-FRI", "tz": "Europe/Berlin", "jitter_ms": 0, "catch_up": "none"}


def test_a_schedule_has_its_next_times_and_runs_now(scene: Scene, client: TestClient) -> None:
    scene.publish("report", triggers=[CRON])
    page = client.get("/schedules").text
    assert "Every weekday at 08:00 Europe/Berlin" in page
    assert page.count("08:00 CE") == 5
    (told,) = client.get("/api/v1/schedules").json()["schedules"]
    assert (told["function"], len(told["next"]), told["tz"]) == ("report", 5, "Europe/Berlin")
    assert told["next"] == sorted(told["next"])
    went = client.post("/schedules/report/run")
    assert (went.status_code, went.headers["location"][:6]) == (303, "/runs/")
    assert client.get(went.headers["location"]).status_code == 200
    client.post("/workflows/report/pause", data={"how": "skip"})
    assert client.get("/api/v1/schedules").json()["schedules"][0]["paused"] == "skip"
    assert "Resume" in client.get("/schedules", headers={"hx-request": "true"}).text


def test_what_has_no_schedule_is_not_run(scene: Scene, client: TestClient) -> None:
    scene.publish("pay")
    refused = client.post("/schedules/pay/run")
    assert (refused.status_code, "has no schedule" in refused.text) == (409, True)
    assert "No schedules" in client.get("/schedules").text


def test_a_limit_shows_who_holds_and_who_waits(scene: Scene, client: TestClient) -> None:
    assert "No limits" in client.get("/limits").text
    limit = {"id": "fn:pay:0", "limit": 1, "key": "event.data.tenant"}
    scene.publish("pay", concurrency=[limit])
    for _ in range(3):
        scene.start("pay", flow="fn:pay:0=<acme>;")
    (told,) = client.get("/api/v1/limits").json()["limits"]
    assert (told["limit"], told["holders"], told["waiters"]) == (1, 1, 2)
    page = client.get("/limits").text
    assert "&lt;acme&gt;" in page
    assert "allows 1 at once" in page
