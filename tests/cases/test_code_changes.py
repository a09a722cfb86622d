"""Runs under way while their code changes: steps are known by their ids, patches part old from new."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from cases.world import FAST, World

from qflow import Run, Step, SyncStep

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def note(name: str) -> str:
    ran.append(name)
    return name


def deploy(world: World, handler: Callable[..., Any], *, retries: int = 4) -> None:
    """Replace the worker and its code."""
    world.stop([running for running in list(world._running) if running.worker is not None])
    app = world.make_app("tests")
    app.function("f", trigger="go", retries=retries, backoff=FAST)(handler)
    world.worker(app)


def old(step: SyncStep) -> list[str]:
    a = step.run("a", note, "a")
    step.sleep("nap", "300ms")
    return [a, step.run("b", note, "b")]


def under_way(world: World) -> str:
    """A run that sleeps under the old code; the event of it."""
    deploy(world, old)
    event = world.send("go")
    world.until_status(world.run_of(event, "f"), "waiting")
    return event


def test_a_run_keeps_the_version_it_began_with(world: World) -> None:
    event = under_way(world)
    began = world.look(world.run_of(event, "f")).fields["version"]

    def new(step: SyncStep) -> list[str]:
        return [*old(step), "new"]

    deploy(world, new)
    found = world.ended(event, "f")
    assert found.output == ["a", "b", "new"]
    assert found.fields["version"] == began
    assert world.outcome("f", "go").fields["version"] != began


def test_a_step_that_is_gone_is_left_out_and_a_new_one_is_executed(world: World) -> None:
    event = under_way(world)

    def new(step: SyncStep) -> list[str]:
        first = step.run("before", note, "before")
        step.sleep("nap", "300ms")
        return [first, step.run("b", note, "b")]

    deploy(world, new)
    found = world.ended(event, "f")
    assert found.output == ["before", "b"]
    assert ran == ["a", "before", "b"]
    assert sorted(found.steps) == ["a", "b", "before", "nap"], "what finished stays in the record"


def test_a_renamed_step_is_a_new_one(world: World) -> None:
    event = under_way(world)

    def new(step: SyncStep) -> list[str]:
        a = step.run("first", note, "a again")
        step.sleep("nap", "300ms")
        return [a, step.run("b", note, "b")]

    deploy(world, new)
    assert world.ended(event, "f").output == ["a again", "b"]


def test_the_step_that_its_job_is_for_is_gone(world: World) -> None:
    event = under_way(world)

    def new(step: SyncStep) -> list[str]:
        return [step.run("a", note, "a"), step.run("c", note, "c")]

    deploy(world, new)
    assert world.ended(event, "f").output == ["a", "c"]
    assert ran == ["a", "c"]


def patched(step: SyncStep, run: Run) -> list[str]:
    early = step.run("x", note, "x") if run.patched("early") else "old"
    a = step.run("a", note, "a")
    step.sleep("nap", "300ms")
    late = step.run("y", note, "y") if run.patched("late") else "old"
    return [early, a, late, step.run("b", note, "b")]


def test_a_run_takes_the_new_path_only_where_it_has_not_been(world: World) -> None:
    event = under_way(world)
    deploy(world, patched)
    found = world.ended(event, "f")
    assert found.output == ["old", "a", "y", "b"]
    assert found.fields["patch:late"] == "1"
    assert "patch:early" not in found.fields
    assert world.outcome("f", "go").output == ["x", "a", "y", "b"]


@pytest.mark.world(slots=1)
def test_every_later_entry_agrees(world: World) -> None:
    entries: list[tuple[bool, bool]] = []

    async def handler(step: Step, run: Run) -> int:
        early = run.patched("early")
        await step.run("a", note, "a")
        await step.sleep("nap", "30ms")
        late = run.patched("late")
        entries.append((early, late))
        await step.run("b", note, "b")
        await step.sleep("nap", "30ms")
        await step.run("c", note, "c")
        return len(entries)

    deploy(world, handler)
    assert world.outcome("f", "go").output >= 2
    assert set(entries) == {(True, True)}


def test_the_path_is_kept_where_the_first_step_on_it_fails(world: World) -> None:
    seen: list[bool] = []
    event = under_way(world)

    def fails_once() -> str:
        ran.append("y")
        if ran.count("y") == 1:
            raise ValueError("once")
        return "y"

    def new(step: SyncStep, run: Run) -> str:
        step.run("a", note, "a")
        step.sleep("nap", "300ms")
        seen.append(run.patched("late"))
        return step.run("y", fails_once)

    deploy(world, new)
    assert world.ended(event, "f").output == "y"
    assert seen == [True, True]


def test_not_in_a_step(world: World) -> None:
    def handler(step: SyncStep, run: Run) -> bool:
        return step.run("a", run.patched, "p")

    deploy(world, handler)
    assert "call it in the handler" in world.outcome("f", "go").error["message"]


@pytest.mark.world(lease="1s")
def test_a_worker_that_dies_on_the_new_path(world: World) -> None:
    """The note is written before the step on that path begins to show."""
    source = """
        import os, time, qflow
        app = qflow.App("tests")
        def hang():
            time.sleep(30)
        @app.function("f", trigger="go")
        def f(step, run):
            step.run("a", int)
            return step.run("new", hang) if run.patched("p") else "old"
    """
    app = world.make_app("tests")
    went_on = threading.Event()

    @app.function("f", trigger="go")
    def f(step: SyncStep, run: Run) -> str:
        step.run("a", int)
        went_on.set()
        return step.run("new", note, "new") if run.patched("p") else "old"

    child = world.spawn_worker(source)
    world.until(lambda: world.redis.call("ZCARD", world.keys.leases), "a worker")
    event = world.send("go")
    run = world.run_of(event, "f")
    world.until(lambda: world.look(run).fields["lane"].endswith("|new"), "the step to be opened")
    child.kill()
    world.worker(app)
    assert world.ended(event, "f").output == "new"
    assert went_on.is_set()
