"""The rescuer: a worker that fell silent loses what it holds, in seconds."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from cases.world import World

from qflow import SyncStep
from qflow.read.audit import audit

SOURCE = """
    import os, time
    from qflow import App
    app = App("tests")

    def first_time_slow():
        with open("ran", "a") as file:
            file.write("x")
        if os.path.getsize("ran") == 1:
            time.sleep(60)
        return os.getpid()

    @app.function("slow", trigger="go", retries=0)
    def slow(step):
        step.run("before", lambda: 1)
        return step.run("slow", first_time_slow)

    @app.function("aslow", trigger="ago", retries=0)
    async def aslow(step):
        return await step.run("slow", first_time_slow)
"""


@pytest.mark.world(lease="1s")
@pytest.mark.parametrize(("event", "function"), [("go", "slow"), ("ago", "aslow")])
def test_a_killed_worker_loses_nothing(world: World, event: str, function: str) -> None:
    child = world.spawn_worker(SOURCE)
    run = world.run_of(world.send(event), function)
    world.until(lambda: (world.folder / "ran").exists(), "the step to run")
    world.until(lambda: world.look(run).fields["lane"].endswith("|slow"), "its job opened")
    child.send_signal(signal.SIGKILL)
    child.wait()
    began = time.monotonic()
    second = world.spawn("run_worker")
    after = world.until_status(run, "completed")
    assert time.monotonic() - began < 6
    assert after.output == second.pid
    assert (world.folder / "ran").read_text() == "xx"
    assert after.told("died") == [{"t": "died", "w": after.told("claim")[0]["w"]}]
    assert [told["a"] for told in after.told("step") if told["id"] == "slow"] == [1]
    assert world.counter("deaths") == 1
    assert world.emitted("worker.died")[0]["returned"] == 1


@pytest.mark.world(lease="1s")
def test_a_paused_worker_is_fenced(world: World) -> None:
    """It is stopped past its lease and goes on: its late commit is refused and counted."""
    child = world.spawn_worker(
        """
        import os, time
        from qflow import App
        app = App("tests")

        def slow():
            with open("ran", "a") as file:
                file.write("x")
            while not os.path.exists("go on"):
                time.sleep(0.01)
            return os.getpid()

        @app.function("slow", trigger="go", retries=0)
        def handler(step):
            return step.run("slow", slow)
        """
    )
    run = world.run_of(world.send("go"), "slow")
    world.until(lambda: (world.folder / "ran").exists(), "the step to run")
    world.until(lambda: world.look(run).fields["lane"].endswith("|slow"), "its job opened")
    child.send_signal(signal.SIGSTOP)
    try:
        second = world.spawn("run_worker")
        world.until(lambda: (world.folder / "ran").read_text() == "xx", "the step to run again")
        (world.folder / "go on").touch()
        after = world.until_status(run, "completed")
        assert after.output == second.pid
    finally:
        child.send_signal(signal.SIGCONT)
    world.until(lambda: world.counter("fenced") == 1, "the late commit to be refused")
    assert world.look(run).fields == after.fields
    assert len(world.look(run).told("step")) == 1
    world.until(lambda: world.redis.call("ZCARD", world.keys.leases) == 2, "it registers anew")


@pytest.mark.world(lease="1s")
def test_a_busy_worker_is_left_alone(world: World) -> None:
    """Code that keeps the interpreter busy does not look dead."""
    ran = []

    def spin() -> int:
        ran.append(1)
        ends = time.monotonic() + 2.5
        n = 0
        while time.monotonic() < ends:
            n += 1
        return 1

    @world.app.function("busy", trigger="go", retries=0)
    def busy(step: SyncStep) -> int:
        return step.run("spin", spin)

    world.worker()
    events = [world.send("go") for _ in range(4)]
    for event in events:
        assert world.ended(event, "busy").output == 1
    assert len(ran) == 4
    assert world.counter("deaths") == world.counter("fenced") == 0


def test_a_worker_whose_lease_vanished_registers_anew(world: World) -> None:
    """Redis lost its data, or somebody deleted the key."""
    go_on = threading.Event()

    @world.app.function("wait", trigger="go", retries=0)
    def wait(step: SyncStep) -> str:
        step.run("wait", go_on.wait, 20)
        return "done"

    running = world.worker()
    run = world.run_of(world.send("go"), "wait")
    world.until_status(run, "running")
    world.redis.call("ZREM", world.keys.leases, running.name)
    world.until(lambda: world.emitted("worker.lapsed"), "it to notice")
    world.until(
        lambda: world.redis.call("ZSCORE", world.keys.leases, running.name), "its new lease"
    )
    go_on.set()
    assert world.until_status(run, "completed").output == "done"


def test_a_job_that_left_the_queue_is_put_back(world: World) -> None:
    """As when a stock worker dies between popping a job and starting it."""

    @world.app.function("lost", trigger="go")
    def lost(step: SyncStep) -> int:
        return step.run("one", lambda: 1)

    world.publish(world.app)
    world.serve()
    run = world.run_of(world.send("go"), "lost")
    world.redis.call("LMOVE", world.keys.queue, f"{world.keys.queue}:intermediate", "LEFT", "RIGHT")
    world.until(lambda: world.emitted("job.requeued"), "the job to be missed", 20)
    world.worker()
    assert world.until_status(run, "completed").output == 1
    assert not world.redis.call("EXISTS", f"{world.keys.queue}:intermediate")


def test_a_timer_that_rq_scheduler_s_listing_dropped_is_set_again(world: World) -> None:
    """It drops an entry whose job somebody deleted."""

    @world.app.function("nap", trigger="go")
    def nap(step: SyncStep) -> None:
        step.sleep("long", "1d")

    world.worker()
    world.serve()
    run = world.run_of(world.send("go"), "nap")
    world.until_status(run, "waiting")
    (job,) = world.redis.call("ZRANGE", world.keys.scheduled, 0, -1)
    due = world.redis.call("ZSCORE", world.keys.scheduled, job)
    world.redis.call("DEL", world.keys.job(job.decode()))
    world.redis.call("ZREM", world.keys.scheduled, job)
    world.until(lambda: world.emitted("job.requeued"), "the timer to be missed", 20)
    assert world.redis.call("ZSCORE", world.keys.scheduled, job) == due
    assert audit(world.redis, world.keys, 0.01).findings == ()
