"""A stock `rq worker` on the queue executes qflow's jobs correctly."""

from __future__ import annotations

from collections import Counter

import pytest
from cases.world import FAST, World
from contract.stock import CLASSES, kill, stock_worker
from redis import Redis as Client
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry

from qflow.read.audit import audit

SOURCE = """
    import os, time
    from qflow import App, Backoff, NonRetriableError
    app = App("tests")
    FAST = Backoff(base="20ms", factor=1, max="20ms", jitter=False)

    def note(name):
        with open("ran", "a") as file:
            file.write(name + chr(10))
        return name

    async def anote(name):
        return note(name)

    def flaky():
        note("flaky")
        if open("ran").read().split().count("flaky") < 3:
            raise ValueError("not yet")
        return "at last"

    def bad():
        raise NonRetriableError("no use")

    @app.function("chain", trigger="go")
    def chain(step):
        return [step.run("a", note, "a"), step.run("b", anote, "b"), step.run("c", note, "c")]

    @app.function("achain", trigger="go")
    async def achain(step):
        first = await step.run("d", note, "d")
        await step.sleep("nap", 0.05)
        return [first, await step.run("e", anote, "e")]

    @app.function("tries", trigger="go", retries=2, backoff=FAST)
    def tries(step):
        return step.run("flaky", flaky)

    @app.function("hopeless", trigger="go", retries=0)
    def hopeless(step):
        note("hopeless")
        step.run("bad", bad)

    @app.function("plain", trigger="go")
    def plain(event):
        return event.name

    @app.function("both", trigger="go")
    def both(step):
        pair = step.parallel(lambda: step.run("f", note, "f"), lambda: step.run("g", anote, "g"))
        return [*pair, step.run("h", note, "h")]

    @app.function("fan", trigger="go")
    async def fan(step):
        import asyncio
        pair = await asyncio.gather(step.run("i", note, "i"), step.run("j", anote, "j"))
        return [*pair, await step.invoke("child", "plain")]

    def linger():
        note("linger")
        if open("ran").read().split().count("linger") == 1:
            time.sleep(60)
        return "went on"

    @app.function("lingers", trigger="linger", retries=0)
    def lingers(step):
        step.run("before", note, "before")
        return step.run("linger", linger)
"""
OUTPUTS = {"chain": ["a", "b", "c"], "achain": ["d", "e"], "tries": "at last", "plain": "go"}
OUTPUTS |= {"both": ["f", "g", "h"], "fan": ["i", "j", "qflow/function.invoked"]}


@pytest.fixture
def published(world: World) -> World:
    """The functions of SOURCE, as a worker of qflow's would have published them."""
    world.write_module(SOURCE)
    for name in (*OUTPUTS, "hopeless"):
        world.app.function(name, trigger="go", backoff=FAST)(lambda: None)
    world.app.function("lingers", trigger="linger")(lambda: None)
    world.publish()
    return world


@pytest.mark.parametrize("kind", CLASSES)
def test_whole_runs(published: World, client: Client, kind: str) -> None:
    world = published
    event = world.send("go")
    with stock_worker(world, kind):
        runs = {name: world.ended(event, name, 40) for name in (*OUTPUTS, "hopeless")}
        world.until(
            lambda: (
                StartedJobRegistry(world.keys.queue_name, client).get_job_ids(cleanup=False) == []
            ),
            "RQ to be done with the last job",
        )
    for name, output in OUTPUTS.items():
        assert runs[name].output == output
    assert runs["hopeless"].error["name"] == "NonRetriableError"
    ran = Counter((world.folder / "ran").read_text().split())
    assert ran == {**dict.fromkeys("abcdefghij", 1), "flaky": 3, "hopeless": ran["hopeless"]}
    assert [told["a"] for told in runs["tries"].told("retry")] == [0, 1]
    assert world.counter("deaths") == world.counter("fenced") == 0
    failed = FailedJobRegistry(world.keys.queue_name, connection=client)
    jobs = [Job.fetch(id_, connection=client) for id_ in failed.get_job_ids()]
    descriptions = Counter(job.description for job in jobs)
    assert descriptions["tries/flaky"] == 2, "each failed attempt is a failed job of RQ's"
    assert descriptions["hopeless/bad"] + descriptions["hopeless"] == 1
    for job in jobs:
        result = job.latest_result()
        assert "not yet" in result.exc_string or "no use" in result.exc_string
    assert audit(world.redis, world.keys).findings == ()
    assert world.redis.call("ZCARD", world.keys.leases) == 0


def test_in_burst_mode(published: World) -> None:
    world = published
    event = world.send("go")
    runs = [world.run_of(event, name) for name in ("chain", "plain")]
    with stock_worker(world, "rq.Worker", "--burst") as child:
        assert child.wait(60) == 0
    for run in runs:
        assert world.look(run).status == "completed"


def test_each_job_executes_one_step(published: World) -> None:
    world = published
    event = world.send("go")
    with stock_worker(world):
        run = world.ended(event, "chain", 40)
    workers = [told["w"] for told in run.told("claim")]
    assert len(workers) == len(set(workers)) == 3


@pytest.mark.leaves_keys(
    "what RQ noted of a job whose RQ worker was killed; RQ's clean-up sees to it"
)
@pytest.mark.world(lease="1s")
@pytest.mark.parametrize("kind", CLASSES)
def test_killed_in_the_middle_of_a_step(published: World, kind: str) -> None:
    world = published
    run = world.run_of(world.send("linger"), "lingers")
    ran = world.folder / "ran"
    with stock_worker(world, kind) as child:
        world.until(lambda: ran.exists() and "linger" in ran.read_text(), "the step to run", 40)
        kill(child)
    assert "before" in world.look(run).steps
    world.spawn("run_worker")
    after = world.until_status(run, "completed", timeout_s=30)
    assert after.output == "went on"
    assert Counter(ran.read_text().split()) == {"before": 1, "linger": 2}
    assert len(after.told("died")) == world.counter("deaths") == 1


def test_a_function_that_it_cannot_find_is_put_back_and_not_hammered(world: World) -> None:
    """An RQ worker that was started in the wrong folder must not lose or spin on what it pops."""
    world.write_module("from qflow import App\napp = App('tests')")
    world.app.function("elsewhere", trigger="go", retries=0)(lambda: "found")
    world.publish()
    run = world.run_of(world.send("go"), "elsewhere")
    with stock_worker(world, "rq.SimpleWorker"):
        world.until(lambda: world.look(run).told("postponed"), "the job to be put back", 40)
    assert len(world.look(run).told("claim")) < 5
    world.worker()
    assert world.until_status(run, "completed").output == "found"
