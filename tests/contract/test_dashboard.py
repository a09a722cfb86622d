"""rq-dashboard shows qflow's queue, jobs and workers, and its buttons cannot corrupt a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cases.world import World
from redis import Redis as Client
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry

from qflow import NonRetriableError, SyncStep
from qflow.read.audit import audit

flask = pytest.importorskip("flask")
rq_dashboard = pytest.importorskip("rq_dashboard")


def bad() -> None:
    raise NonRetriableError("no use")


@pytest.fixture
def browser(world: World) -> Any:
    app = flask.Flask("dashboard")
    app.config.from_object(rq_dashboard.default_settings)
    app.config["RQ_DASHBOARD_REDIS_URL"] = world.url
    from rq_dashboard.web import setup_rq_connection

    setup_rq_connection(app)
    app.register_blueprint(rq_dashboard.blueprint)
    return app.test_client()


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_every_page(world: World, client: Client, browser: Any, go_on: threading.Event) -> None:
    @world.app.function("shown", trigger="go", retries=0)
    def shown(event, step: SyncStep) -> None:  # type: ignore[no-untyped-def]
        kind = event.data["kind"]
        step.run("first", lambda: 1)
        if kind == "wait":
            step.run("wait", go_on.wait, 20)
        elif kind == "sleep":
            step.sleep("nap", "1h")
        else:
            step.run("bad", bad)

    world.worker()
    runs = {
        kind: world.run_of(world.send("go", {"kind": kind}), "shown")
        for kind in ("wait", "sleep", "bad")
    }
    world.until_status(runs["sleep"], "waiting")
    failed = world.until_status(runs["bad"], "failed")
    world.until(lambda: client.keys(f"rq:execution:{runs['wait']}-*"), "its execution")
    queue = world.keys.queue_name
    for page in ("/", "/0/view/queues", "/0/view/workers", "/0/view/jobs"):
        assert browser.get(page, follow_redirects=True).status_code == 200, page
    names = [each["name"] for each in browser.get("/0/data/queues.json").json["queues"]]
    assert queue in names
    (worker,) = browser.get("/0/data/workers.json").json["workers"]
    assert worker["queues"] == [queue]
    assert worker["current_job"]["description"] == "shown/wait"
    for registry, description in {
        "started": "shown/wait", "failed": "shown/bad", "finished": "shown/first",
    }.items():  # fmt: skip
        page = f"/0/view/jobs/{queue}/{registry}/8/asc/1"
        assert browser.get(page).status_code == 200
        jobs = browser.get(f"/0/data/jobs/{queue}/{registry}/8/asc/1.json").json["jobs"]
        assert description in [job["description"] for job in jobs], registry
        for job in jobs:
            assert browser.get(f"/0/view/job/{job['id']}").status_code == 200
            told = browser.get(f"/0/data/job/{job['id']}.json").json
            assert told["origin"] == queue
            if registry == "failed":
                assert told["exc_info"] == failed.error["traceback"]
    go_on.set()
    world.until_status(runs["wait"], "completed")


def test_requeueing_a_failed_attempt_changes_nothing(
    world: World, client: Client, browser: Any
) -> None:
    ran = []

    @world.app.function("shown", trigger="go", retries=0)
    def shown(step: SyncStep) -> None:
        step.run("bad", lambda: ran.append(1) or bad())

    world.worker()
    run = world.outcome("shown", "go")
    (job_id,) = FailedJobRegistry(world.keys.queue_name, connection=client).get_job_ids()
    assert browser.post(f"/job/{job_id}/requeue").status_code == 200
    world.until(lambda: world.counter("dropped") == 1, "the job to be dropped")
    assert Job.fetch(job_id, connection=client).get_status() == "canceled"
    assert world.look(run.id).fields == run.fields
    assert ran == [1]


def test_deleting_a_running_job_changes_nothing(
    world: World, client: Client, browser: Any, go_on: threading.Event
) -> None:
    entered = threading.Event()

    def wait() -> None:
        entered.set()
        assert go_on.wait(20)

    @world.app.function("shown", trigger="go", retries=0)
    def shown(step: SyncStep) -> str:
        step.run("wait", wait)
        return step.run("after", lambda: "done")

    world.worker()
    run = world.run_of(world.send("go"), "shown")
    assert entered.wait(10)
    (key,) = world.until(lambda: client.keys(f"rq:execution:{run}-*"), "its execution")
    job_id = key.decode().split(":")[2]
    assert browser.post(f"/job/{job_id}/delete").status_code == 200
    go_on.set()
    assert world.until_status(run, "completed").output == "done"
    assert audit(world.redis, world.keys).findings == ()


def test_a_queued_job_that_was_deleted_is_found_by_the_audit(
    world: World, client: Client, browser: Any
) -> None:
    """Its run waits for a job that is no more: nothing is corrupted, and the audit says so."""

    @world.app.function("shown", trigger="go")
    def shown() -> str:
        return "done"

    world.publish()
    run, other = (world.run_of(world.send("go"), "shown") for _ in range(2))
    assert browser.post(f"/job/{run}-enter-1/delete").status_code == 200
    assert Queue(world.keys.queue_name, connection=client).job_ids == [f"{other}-enter-1"]
    (found,) = audit(world.redis, world.keys).findings
    assert (found.run, found.status) == (run, "queued")
    assert "not in the queue" in found.why
    world.worker()
    world.until_status(other, "completed")
    client.rpush(world.keys.queue, f"{run}-enter-1")
    assert world.until_status(run, "completed").output == "done"


def test_a_delayed_job_that_was_deleted_still_comes_due(world: World, browser: Any) -> None:
    @world.app.function("shown", trigger="go")
    def shown(step: SyncStep) -> str:
        step.sleep("nap", 0.4)
        return "done"

    world.worker()
    run = world.run_of(world.send("go"), "shown")
    world.until_status(run, "waiting")
    (job_id,) = [raw.decode() for raw in world.redis.call("ZRANGE", world.keys.scheduled, 0, -1)]
    assert browser.post(f"/job/{job_id}/delete").status_code == 200
    assert world.until_status(run, "completed").output == "done"
