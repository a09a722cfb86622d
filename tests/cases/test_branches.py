"""Branches of a sync handler: in turns on its thread, entered again with it, their steps side by side."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress

from cases.world import World

from qflow import StepError, SyncStep


def test_hundreds_of_branches_need_no_threads_of_their_own(world: World) -> None:
    seen: set[int] = set()

    def branch(step: SyncStep, n: int) -> int:
        seen.add(threading.get_ident())
        first = step.run("first", lambda: n)
        return step.run("second", lambda: first + 1)

    @world.app.function("many", trigger="go")
    def many(step: SyncStep) -> int:
        return sum(step.parallel(*(lambda n=n: branch(step, n) for n in range(300))))

    world.worker(slots=2)
    run = world.outcome("many", "go")
    assert run.output == sum(range(1, 301))
    assert len(seen) <= 2, "only the places of the worker"
    assert Counter(told["id"] for told in run.told("step")) == dict.fromkeys(run.steps, 1)


def test_branches_of_branches_with_repeated_ids(world: World) -> None:
    def both(step: SyncStep, name: str) -> list[str]:
        return step.parallel(
            lambda: step.run("leaf", lambda: f"{name}-left"),
            lambda: step.run("leaf", lambda: f"{name}-right"),
        )

    @world.app.function("tree", trigger="go")
    def tree(step: SyncStep) -> list[object]:
        return step.parallel(
            lambda: [*both(step, "a"), step.run("end", lambda: "a")],
            lambda: step.run("leaf", lambda: "b"),
            lambda: [*both(step, "c"), *step.map("m", str.upper, ["x", "y"])],
        )

    world.worker()
    run = world.outcome("tree", "go")
    assert run.output == [
        ["a-left", "a-right", "a"],
        "b",
        ["c-left", "c-right", "X", "Y"],
    ]
    assert {f"leaf:{n}" for n in range(1, 5)} <= set(run.steps)


def test_what_a_waiting_branch_does_on_its_way_out_is_not_done(world: World) -> None:
    """Its `finally` and a bare `except` meet what unwinds it; the ids that they use are not used up."""

    def tidy(step: SyncStep, name: str) -> str:
        try:
            return step.run("work", lambda: name)
        finally:
            step.run("tidy", lambda: f"tidied {name}")

    def stubborn(step: SyncStep) -> str:
        with suppress(BaseException):
            return step.run("work", lambda: "stubborn")
        return "gave in"

    @world.app.function("tidying", trigger="go")
    def tidying(step: SyncStep) -> list[str]:
        return step.parallel(
            lambda: tidy(step, "a"), lambda: stubborn(step), lambda: tidy(step, "b")
        )

    world.worker()
    run = world.outcome("tidying", "go")
    assert run.output == ["a", "stubborn", "b"]
    assert sorted(run.steps) == ["tidy", "tidy:1", "work", "work:1", "work:2"]
    assert '"tidied a"' in run.steps["tidy"]


def test_the_last_branch_that_asks_goes_on_where_it_is(world: World) -> None:
    threads: list[int] = []

    def note() -> None:
        threads.append(threading.get_ident())

    @world.app.function("one", trigger="go")
    def one(step: SyncStep) -> list[int]:
        def chain() -> int:
            threads.append(threading.get_ident())
            for _ in range(3):
                step.run("note", note)
            return 1

        return step.parallel(lambda: 0, chain)

    world.worker()
    run = world.outcome("one", "go")
    assert run.output == [0, 1]
    assert "forked" not in run.fields
    assert len(threads) == 4 and len(set(threads)) == 1


def test_the_first_failure_is_raised_once_all_have_ended(world: World) -> None:
    ran: list[str] = []

    def fail(name: str) -> None:
        raise ValueError(name)

    @world.app.function("failing", trigger="go", retries=0)
    def failing(step: SyncStep) -> str:
        try:
            step.parallel(
                lambda: step.run("late", ran.append, "late"),
                lambda: step.run("a", fail, "a"),
                lambda: step.run("b", fail, "b"),
            )
        except StepError as error:
            return error.message
        return "none"

    world.worker()
    assert world.outcome("failing", "go").output == "a"
    assert ran == ["late"]
