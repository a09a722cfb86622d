"""RQ's own classes and tools read qflow's jobs, queues, registries and workers."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading

import pytest
from cases.world import World
from redis import Redis as Client
from rq import Queue, Worker
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq_scheduler import Scheduler

from qflow import NonRetriableError, SyncStep

ENTRY = "qflow.services.job.run_step"


class Gate:
    """A step that waits to be let through."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.open.wait(20)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def bad() -> None:
    raise NonRetriableError("no use")


def seconds_ago(moment: dt.datetime | None) -> float:
    assert moment is not None
    return (dt.datetime.now(dt.UTC) - moment).total_seconds()


def test_a_queued_job(world: World, client: Client) -> None:
    @world.app.function("read", trigger="go")
    def read() -> None: ...

    world.publish()
    run = world.run_of(world.send("go"), "read")
    queue = Queue(world.keys.queue_name, connection=client)
    assert queue.count == 1
    assert queue.job_ids == [f"{run}-enter-1"]
    job = Job.fetch(f"{run}-enter-1", connection=client)
    assert job.get_status() == JobStatus.QUEUED and job.is_queued
    assert job.func_name == ENTRY
    assert (job.args, job.kwargs) == ((), {})
    assert (job.description, job.origin) == ("read", world.keys.queue_name)
    assert 0 <= seconds_ago(job.created_at) < 20
    assert 0 <= seconds_ago(job.enqueued_at) < 20
    assert job.started_at is None and job.ended_at is None
    assert queue.name in [each.name for each in Queue.all(connection=client)]
    assert queue.jobs[0].id == job.id


def test_a_started_job_and_its_worker(world: World, client: Client, gate: Gate) -> None:
    @world.app.function("read", trigger="go")
    def read(step: SyncStep) -> None:
        step.run("quick", lambda: 1)
        step.run("wait", gate)

    running = world.worker()
    world.send("go")
    assert gate.entered.wait(10)
    try:
        registry = StartedJobRegistry(world.keys.queue_name, connection=client)

        def waiting() -> list[str]:
            found = registry.get_job_ids(cleanup=False)
            return [
                id_ for id_ in found if Job.fetch(id_, connection=client).description == "read/wait"
            ]

        (job_id,) = world.until(waiting, "the step's job to be started")
        job = Job.fetch(job_id, connection=client)
        assert job.get_status() == JobStatus.STARTED
        assert job.worker_name == running.name
        assert 0 <= seconds_ago(job.started_at) < 20
        assert job.is_started and job in registry
        world.until(
            lambda: worker_of(world, client).get_current_job_id() == job_id, "its execution"
        )
        worker = worker_of(world, client)
        assert worker.name == running.name
        assert worker.get_state() == "busy"
        assert [queue.name for queue in worker.queues] == [world.keys.queue_name]
        assert worker.get_current_job().id == job_id
        assert 0 <= seconds_ago(worker.birth_date) < 20
        assert 0 <= seconds_ago(worker.last_heartbeat) < 5
        (execution,) = job.get_executions()
        assert execution.worker_name == running.name
        assert 0 <= seconds_ago(execution.created_at) < 20
        told = info(world)
        assert running.name in told and "busy" in told and world.keys.queue_name in told
        assert Worker.count(queue=Queue(world.keys.queue_name, connection=client)) == 1
    finally:
        gate.open.set()


def test_finished_and_failed_jobs(world: World, client: Client) -> None:
    @world.app.function("read", trigger="go", retries=0)
    def read(step: SyncStep) -> None:
        step.run("good", lambda: 1)
        step.run("bad", bad)

    world.worker()
    run = world.outcome("read", "go")
    finished = FinishedJobRegistry(world.keys.queue_name, connection=client)
    jobs = [Job.fetch(id_, connection=client) for id_ in finished.get_job_ids()]
    assert {job.description for job in jobs} >= {"read", "read/good"}
    for job in jobs:
        assert job.is_finished
        assert 0 <= seconds_ago(job.ended_at) < 20
        assert job.return_value() is None and job.latest_result() is None
    failed = FailedJobRegistry(world.keys.queue_name, connection=client)
    (failed_id,) = failed.get_job_ids()
    job = Job.fetch(failed_id, connection=client)
    assert job.is_failed and failed_id.startswith(run.id)
    result = job.latest_result()
    assert result.type == result.Type.FAILED
    assert result.exc_string == run.error["traceback"]
    assert "NonRetriableError: no use" in result.exc_string
    assert result.worker_name == run.told("claim")[0]["w"]
    with pytest.warns(DeprecationWarning):
        assert job.exc_info == result.exc_string

    def counted() -> bool:
        worker = worker_of(world, client)
        return (worker.successful_job_count, worker.failed_job_count) == (0, 1)

    world.until(counted, "the worker's counts")
    assert worker_of(world, client).total_working_time > 0


def test_attempts_that_failed_are_failed_jobs(world: World, client: Client) -> None:
    @world.app.function("read", trigger="go", retries=3)
    def read(step: SyncStep) -> None:
        step.run("flaky", lambda: 1 / 0)

    world.worker()
    run = world.until_status(world.run_of(world.send("go"), "read"), "waiting")
    (failed_id,) = FailedJobRegistry(world.keys.queue_name, connection=client).get_job_ids()
    assert "ZeroDivisionError" in Job.fetch(failed_id, connection=client).latest_result().exc_string
    scheduler = Scheduler(connection=client)
    scheduler.scheduled_jobs_key = world.keys.scheduled
    ((job, when),) = scheduler.get_jobs(with_times=True)
    assert job.description == "read/flaky"
    assert job.get_status() == JobStatus.SCHEDULED
    due_s = int(run.fields["due"]) / 1000
    assert abs(when.replace(tzinfo=dt.UTC).timestamp() - due_s) < 1
    assert scheduler.count() == 1
    assert job in scheduler


def test_a_stopped_worker_is_gone(world: World, client: Client) -> None:
    running = world.worker()
    assert running.name in info(world)
    world.stop([running])
    assert Worker.all(connection=client) == []
    assert running.name not in info(world)


def worker_of(world: World, client: Client) -> Worker:
    (worker,) = Worker.all(connection=client)
    return worker


def info(world: World) -> str:
    """Return what `rq info` says."""
    return subprocess.run(
        [sys.executable, "-c", "from rq.cli import main; main()", "info", "--url", world.url],
        check=True, capture_output=True, text=True, timeout=30,
    ).stdout  # fmt: skip
