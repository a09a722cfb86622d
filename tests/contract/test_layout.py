"""What qflow's scripts write of RQ's layout, held to what RQ itself writes.

An RQ release that changes a field, a format or a key turns this red: adapt the scripts then.
"""

from __future__ import annotations

import re
import threading
import zlib
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from cases.world import World
from redis import Redis as Client
from rq import Queue, SimpleWorker
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.results import Result
from rq.worker_registration import REDIS_WORKER_KEYS, WORKERS_BY_QUEUE_KEY
from rq_scheduler import Scheduler

from qflow import SyncStep
from qflow.services.job import run_step
from qflow.store.keys import JOB_DATA, RQ, Keys

STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
TIMES = {b"created_at", b"enqueued_at", b"started_at", b"ended_at", b"last_heartbeat"}
NUMBERS = {b"timeout", b"result_ttl", b"failure_ttl"}


def fail() -> None:
    """What a failing job of RQ's own executes."""
    raise LookupError("on purpose")


def succeed() -> None:
    """What a finished job of RQ's own has executed."""


class Theirs:
    """Jobs of RQ's own making, on a queue of their own."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.queue = Queue("theirs", connection=client)
        self.jobs: list[str] = []

    def enqueue(self, fn: Any = run_step) -> Job:
        job = self.queue.enqueue(
            fn, job_timeout=-1, result_ttl=500, failure_ttl=500, description="a/b"
        )
        self.jobs.append(job.id)
        return job

    def work(self) -> None:
        SimpleWorker([self.queue], connection=self.client).work(burst=True)

    def hash(self, job: Job) -> dict[bytes, bytes]:
        return self.client.hgetall(f"rq:job:{job.id}")


@pytest.fixture
def theirs(client: Client) -> Iterator[Theirs]:
    made = Theirs(client)
    yield made
    for key in (*client.keys("rq:*theirs*"), *(f"rq:job:{job}" for job in made.jobs)):
        client.delete(key)


@pytest.fixture
def made(world: World, client: Client) -> dict[str, dict[bytes, bytes]]:
    """The hash of a job of qflow's in each state, by status."""

    @world.app.function("layout", trigger="go", retries=1)
    def layout(step: SyncStep) -> None:
        step.run("ok", lambda: 1)
        step.run("bad", fail)

    world.publish()
    run = world.run_of(world.send("go"), "layout")
    found = {"queued": client.hgetall(f"rq:job:{run}-enter-1")}
    world.worker()
    world.until_status(run, "waiting")
    for key in client.scan_iter(f"rq:job:{run}-*"):
        fields = client.hgetall(key)
        found[fields[b"status"].decode()] = fields | {b"id": key.split(b":")[-1]}
    return found


def test_payload_is_rqs_own(theirs: Theirs) -> None:
    payload = theirs.hash(theirs.enqueue())[b"data"]
    assert zlib.decompress(payload) == zlib.decompress(JOB_DATA)
    assert payload == JOB_DATA


def test_queued_job(theirs: Theirs, made: dict[str, dict[bytes, bytes]]) -> None:
    _same(theirs.hash(theirs.enqueue()), made["queued"])


def test_finished_job(theirs: Theirs, made: dict[str, dict[bytes, bytes]]) -> None:
    job = theirs.enqueue(succeed)
    theirs.work()
    _same(theirs.hash(job), made["finished"])


def test_failed_job(
    world: World, client: Client, theirs: Theirs, made: dict[str, dict[bytes, bytes]]
) -> None:
    job = theirs.enqueue(fail)
    theirs.work()
    _same(theirs.hash(job), made["failed"])
    own = made["failed"][b"id"].decode()
    ((_, their_result),) = client.xrange(f"rq:results:{job.id}")
    ((_, our_result),) = client.xrange(f"rq:results:{own}")
    assert set(our_result) <= set(their_result)
    assert our_result[b"type"] == their_result[b"type"]
    for result in (our_result, their_result):
        text = zlib.decompress(b64decode(result[b"exc_string"])).decode()
        assert text.startswith("Traceback") and text.rstrip().endswith("LookupError: on purpose")
    assert client.type(f"rq:failed:{world.keys.queue_name}") == client.type("rq:failed:theirs")


def test_scheduled_job(made: dict[str, dict[bytes, bytes]]) -> None:
    fields = made["scheduled"]
    assert fields[b"description"] == b"layout/bad"
    for name in (b"created_at", b"enqueued_at"):
        assert STAMP.fullmatch(fields[name])


def test_a_running_job_its_worker_and_its_execution(
    world: World, client: Client, theirs: Theirs
) -> None:
    go_on = threading.Event()

    @world.app.function("layout", trigger="go")
    def layout(step: SyncStep) -> None:
        step.run("wait", go_on.wait, 20)

    running = world.worker()
    run = world.run_of(world.send("go"), "layout")

    def look(own: str, executions: str, worker: str, execution: str) -> dict[str, Any]:
        return {
            "job": client.hgetall(own),
            "wip": client.type(executions),
            "worker": client.hgetall(worker),
            "execution": client.hgetall(execution),
            "registry": client.zcard(f"rq:executions:{own.rsplit(':', maxsplit=1)[-1]}"),
        }

    try:
        ours = world.until(lambda: client.keys(f"rq:execution:{run}-*"), "its execution")
        own = ours[0].decode().split(":")[2]
        mine = look(f"rq:job:{own}", world.keys.wip, f"rq:worker:{running.name}", ours[0].decode())
    finally:
        go_on.set()
    worker = SimpleWorker([theirs.queue], connection=client, name="spying")
    worker.register_birth()
    queued = theirs.enqueue(succeed)
    with client.pipeline() as pipeline:
        execution = Execution.create(queued, 60, pipeline, worker_name="spying")
        pipeline.execute()
    their_execution = client.hgetall(execution.key)
    their_worker = client.hgetall("rq:worker:spying")
    assert set(mine["execution"]) == set(their_execution)
    for name in (b"created_at", b"last_heartbeat"):
        assert abs(float(mine["execution"][name]) - float(their_execution[name])) < 60
    optional = {b"death", b"current_job", b"current_job_working_time", b"shutdown_requested_date"}
    assert set(their_worker) - optional <= set(mine["worker"]), "a field that RQ's tools may read"
    for name in (b"birth", b"last_heartbeat"):
        assert STAMP.fullmatch(mine["worker"][name]) and STAMP.fullmatch(their_worker[name])
    assert mine["wip"] == client.type("rq:wip:theirs") == b"zset"
    assert mine["registry"] == 1
    assert client.smembers(f"rq:workers:{world.keys.queue_name}")
    worker.register_death()


def test_names_of_keys(world: World, client: Client) -> None:
    keys, name = world.keys, world.keys.queue_name
    queue = Queue(name, connection=client)
    assert queue.key == keys.queue
    assert Queue.redis_queues_keys == keys.rq_queues
    assert Job.key_for("x") == keys.job("x").encode() or Job.key_for("x") == keys.job("x")
    assert StartedJobRegistry(queue=queue).key == keys.wip
    assert FinishedJobRegistry(queue=queue).key == keys.finished
    assert FailedJobRegistry(queue=queue).key == keys.failed
    assert Result.get_key("x") == keys.results("x")
    assert ExecutionRegistry("x", client).key == keys.executions("x")
    assert keys.rq_workers == REDIS_WORKER_KEYS
    assert WORKERS_BY_QUEUE_KEY % name == keys.rq_queue_workers
    assert Scheduler.scheduled_jobs_key == Keys("qflow").scheduled
    assert RQ == "rq"


def _same(theirs: dict[bytes, bytes], ours: dict[bytes, bytes]) -> None:
    """Hold a hash of ours to RQ's: no field that RQ does not know, each in its form, none missing."""
    ours = {name: value for name, value in ours.items() if name != b"id"}
    unknown = set(ours) - set(theirs)
    assert not unknown, f"RQ writes no {unknown}"
    told = {name for name, value in theirs.items() if value}
    assert told - set(ours) <= {b"success_callback_timeout"}, "RQ says more of such a job"
    for name, value in ours.items():
        if name in TIMES:
            assert STAMP.fullmatch(value), name
            assert STAMP.fullmatch(theirs[name]), name
        elif name in NUMBERS:
            assert float(value) == int(value), name
            assert float(theirs[name]) == int(theirs[name]), name
    assert ours[b"status"] == theirs[b"status"]
    assert ours[b"data"] == JOB_DATA
