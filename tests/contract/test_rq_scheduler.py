"""rq-scheduler's own tools see qflow's delayed jobs, and its scheduler may move them."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from cases.world import World
from contract.stock import stock_worker
from redis import Redis as Client
from rq import Queue
from rq_scheduler import Scheduler

from qflow import SyncStep
from qflow.read.audit import audit
from qflow.services.scheduler import Scheduler as QflowScheduler
from qflow.services.supervisor import router_services
from qflow.store.keys import Keys


@pytest.fixture
def routed(world: World) -> World:
    """Only a router: no scheduler of qflow's moves anything."""
    for running in [each for each in world._running if each.name != "router"]:
        world.stop([running])
    assert router_services(world.settings, world.redis, world.keys)
    return world


def scheduler(world: World, client: Client) -> Scheduler:
    made = Scheduler(connection=client)
    made.scheduled_jobs_key = world.keys.scheduled
    return made


def test_delayed_jobs_are_listed_with_their_times(world: World, client: Client) -> None:
    @world.app.function("nap", trigger="nap")
    def nap(event, step: SyncStep) -> None:  # type: ignore[no-untyped-def]
        step.sleep("nap", event.data["s"])

    world.worker()
    runs = {
        world.until_status(world.run_of(world.send("nap", {"s": s}), "nap"), "waiting").id: s
        for s in (3600, 60, 600)
    }
    listed = list(scheduler(world, client).get_jobs(with_times=True))
    assert [runs[job.id[:26]] for job, _ in listed] == [60, 600, 3600]
    for job, when in listed:
        due_ms = int(world.look(job.id[:26]).fields["due"])
        assert abs(when.replace(tzinfo=dt.UTC).timestamp() * 1000 - due_ms) < 1000
        assert (job.description, job.func_name) == ("nap/nap", "qflow.services.job.run_step")
    soon = scheduler(world, client).get_jobs(until=dt.timedelta(minutes=5))
    assert [runs[job.id[:26]] for job in soon] == [60]


def test_qflows_scheduler_is_one_of_rq_schedulers(world: World) -> None:
    made = QflowScheduler(world.redis, Keys("qflow"), 500, 1000)
    assert isinstance(made, Scheduler)
    assert made.scheduled_jobs_key == Scheduler.scheduled_jobs_key
    assert list(made.get_jobs()) == []


def test_a_stock_scheduler_moves_a_due_job(routed: World, client: Client) -> None:
    world = routed

    @world.app.function("nap", trigger="nap")
    def nap(step: SyncStep) -> str:
        step.sleep("nap", 0.01)
        return step.run("after", lambda: "awake")

    worker = world.worker()
    run = world.until_status(world.run_of(world.send("nap"), "nap"), "waiting")
    assert run.fields["lane"].startswith("d|")
    due_ms = int(run.fields["due"])
    world.until(lambda: int(world.redis.call("TIME")[0]) * 1000 > due_ms, "it to be due")
    assert scheduler(world, client).enqueue_jobs() is not None
    after = world.until_status(run.id, "completed")
    assert after.output == "awake"
    assert "due" not in after.fields
    assert world.redis.call("ZCARD", world.keys.scheduled) == 0
    world.stop([worker])
    assert audit(world.redis, world.keys).findings == ()


def test_both_schedulers_move_the_same_job(routed: World, client: Client) -> None:
    """rq-scheduler queues first and removes afterwards, so both may queue it: one is dropped."""
    world = routed
    ran = []

    @world.app.function("nap", trigger="nap")
    def nap(step: SyncStep) -> str:
        step.sleep("nap", 0.01)
        return step.run("after", lambda: ran.append(1) or "awake")

    worker = world.worker()
    run = world.until_status(world.run_of(world.send("nap"), "nap"), "waiting")
    world.stop([worker])
    stock = scheduler(world, client)
    (job,) = stock.get_jobs()
    queue = Queue(world.keys.queue_name, connection=client)
    queue.enqueue_job(job)  # what rq-scheduler does before it removes the job from its set
    world.serve(router=False)
    world.until(lambda: len(queue.job_ids) == 2, "qflow's scheduler to move it too")
    world.worker()
    assert world.until_status(run.id, "completed").output == "awake"
    world.until(lambda: world.counter("dropped") == 1, "the second to be dropped")
    assert ran == [1]


def test_a_stock_scheduler_and_a_stock_worker(routed: World, client: Client) -> None:
    world = routed
    world.write_module(
        """
        from qflow import App
        app = App("tests")

        @app.function("nap", trigger="nap")
        def nap(step):
            step.sleep("nap", 0.01)
            return step.run("after", lambda: "awake")
        """
    )
    world.app.function("nap", trigger="nap")(lambda: None)
    world.publish()
    stop = threading.Event()
    run = world.run_of(world.send("nap"), "nap")
    with stock_worker(world, "rq.SimpleWorker"):
        world.until_status(run, "waiting", timeout_s=40)

        def move() -> bool:
            scheduler(world, client).enqueue_jobs()
            return world.look(run).status == "completed"

        world.until(move, "the run to end")
    stop.set()
    assert world.look(run).output == "awake"
