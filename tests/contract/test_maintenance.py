"""Stock RQ's clean-up never touches live jobs of qflow's."""

from __future__ import annotations

import threading

import pytest
from cases.world import World
from redis import Redis as Client
from rq import Queue, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry, clean_registries

from qflow import SyncStep
from qflow.services.pruner import Pruner


@pytest.mark.world(lease="1s")
def test_running_jobs_survive_it(world: World, client: Client) -> None:
    go_on, entered = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert go_on.wait(30)

    @world.app.function("long", trigger="go", retries=0)
    def long(step: SyncStep) -> str:
        step.run("wait", wait)
        return "done"

    world.worker()
    run = world.run_of(world.send("go"), "long")
    assert entered.wait(10)
    queue = Queue(world.keys.queue_name, connection=client)
    started = StartedJobRegistry(queue=queue)
    jobs = world.until(lambda: client.keys(f"rq:execution:{run}-*"), "its execution")
    job_id = jobs[0].decode().split(":")[2]
    score = client.zrange(world.keys.wip, 0, -1, withscores=True)[0][1]
    world.until(
        lambda: client.zrange(world.keys.wip, 0, -1, withscores=True)[0][1] > score,
        "a beat to renew what RQ believes",
    )
    clean_registries(queue)
    Worker([queue], connection=client, name="cleaner").clean_registries()
    assert Job.fetch(job_id, connection=client).is_started
    assert started.get_job_ids() == [job_id]
    assert FailedJobRegistry(queue=queue).get_job_ids() == []
    go_on.set()
    assert world.until_status(run, "completed").output == "done"


def test_what_rq_takes_for_abandoned_is_still_qflows_to_judge(world: World, client: Client) -> None:
    """The host slept for long: RQ marks the job failed, the run goes on all the same."""
    go_on, entered = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert go_on.wait(30)

    @world.app.function("long", trigger="go", retries=0)
    def long(step: SyncStep) -> str:
        step.run("wait", wait)
        return "done"

    world.worker()
    run = world.run_of(world.send("go"), "long")
    assert entered.wait(10)

    def opened() -> list[bytes]:
        return [each for each in client.zrange(world.keys.wip, 0, -1) if b"-enter-" not in each]

    (member,) = world.until(opened, "its job")
    queue = Queue(world.keys.queue_name, connection=client)
    StartedJobRegistry(queue=queue).cleanup(timestamp=2**40)
    assert Job.fetch(member.decode().split(":")[0], connection=client).is_failed
    go_on.set()
    assert world.until_status(run, "completed").output == "done"
    FailedJobRegistry(queue=queue).remove(member.decode().split(":")[0])


def test_registries_are_pruned(world: World, client: Client) -> None:
    keys = world.keys
    client.zadd(keys.finished, {"old": 1, "new": 2**40})
    client.zadd(keys.failed, {"old": 1, "new": 2**40})
    Pruner(world.redis, keys, 1000, 1000).tick()
    queue = Queue(keys.queue_name, connection=client)
    assert FinishedJobRegistry(queue=queue).get_job_ids(cleanup=False) == ["new"]
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == ["new"]
