"""`always_replay`: handlers that do not do the same again are found, those that do are left alone."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qflow import App, Backoff, Middleware, Step, StepError, SyncStep
from qflow.testing import Harness, ReplayError


def found_in(handler: Callable[..., Any], **options: Any) -> str:
    """Return what is found wrong about a handler."""
    app = App("replay")
    app.function("f", trigger="go", **options)(handler)
    with Harness(app) as world:
        world.finish(*world.send("go"))
        assert world.runs[0].status == "completed", "it works where nothing is forgotten"
    with Harness(app, always_replay=True) as world, pytest.raises(ReplayError) as caught:
        world.finish(*world.send("go"))
    return str(caught.value)


def test_ids_that_differ() -> None:
    numbers = itertools.count()

    def handler(step: SyncStep) -> None:
        step.run(f"n{next(numbers)}", int)
        step.run("last", int)

    problem = found_in(handler)
    assert "entry 2 of 'f' asked for step 'n2' where an earlier one asked for 'n1'" in problem


def test_inputs_that_differ() -> None:
    numbers = itertools.count()

    async def handler(step: Step) -> None:
        await step.run("pass", int, str(next(numbers)))
        await step.run("last", int)

    assert "step 'pass' of 'f' was given" in found_in(handler)


def test_a_branch_that_is_not_taken_again() -> None:
    entered: list[int] = []

    async def handler(step: Step) -> None:
        entered.append(1)
        if len(entered) < 5:  # two entries where nothing is forgotten, then two more
            await asyncio.gather(step.run("a", int), step.run("b", int))
        await step.run("c", int)

    assert "returned without asking for step 'a'" in found_in(handler)


def test_an_output_that_differs() -> None:
    numbers = itertools.count()

    def handler(step: SyncStep) -> int:
        step.run("a", int)
        return next(numbers)

    assert "with all its steps finished and returned 2 where it had returned 1" in found_in(handler)


def test_an_error_at_the_second_time() -> None:
    seen: list[int] = []

    def handler() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise ValueError("seen before")

    assert "raised ValueError: seen before" in found_in(handler)


def test_a_step_at_the_second_time() -> None:
    seen: list[int] = []

    def handler(step: SyncStep) -> None:
        seen.append(1)
        if len(seen) == 3:
            step.run("late", int)

    assert "asked for step 'late', which it had not come to" in found_in(handler)


def write(path: Path) -> None:
    path.write_text("x")


def connect() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing:
        outgoing.connect(("127.0.0.1", 9))


def spawn() -> None:
    subprocess.run(["true"], check=True)


@pytest.mark.parametrize(
    ("effect", "told"),
    [(write, "open("), (connect, "socket.connect"), (spawn, "subprocess.Popen")],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_effects_outside_steps(
    effect: Callable[..., None], told: str, kind: str, tmp_path: Path
) -> None:
    args = (tmp_path / "out",) if effect is write else ()

    def handler(step: SyncStep) -> None:
        step.run("a", effect, *args)
        effect(*args)

    async def ahandler(step: Step) -> None:
        await step.run("a", effect, *args)
        effect(*args)

    problem = found_in(handler if kind == "sync" else ahandler)
    assert "'f' has an effect outside its steps" in problem
    assert told in problem and f"{Path(__file__).name}:" in problem
    assert "move it into a step" in problem


class Logging(Middleware):
    """Writes a file around every step, which is its business."""

    def step(self, step: object) -> Any:
        import contextlib

        @contextlib.contextmanager
        def around() -> Any:
            with open("/dev/null", "w") as out:
                out.write("step")
            yield

        return around()


def test_handlers_that_do_the_same_are_left_alone(tmp_path: Path) -> None:
    app = App("replay")
    failures = itertools.count()

    def flaky() -> int:
        if next(failures) % 2 == 0:
            raise ValueError("at times")
        return 7

    def bad() -> None:
        raise ValueError("always")

    @app.function("same", trigger="go", backoff=Backoff(1, jitter=False), middleware=[Logging()])
    async def same(step: Step, event: Any, run: Any) -> Any:
        first = await step.run("write", (tmp_path / "x").write_text, "x")
        parts = await asyncio.gather(
            *(step.run("n", int, n) for n in range(3)), step.run("f", flaky)
        )
        try:
            await step.options(retries=1).run("bad", bad)
        except StepError as error:
            parts.append(error.name)
        (tmp_path / "x").read_text()
        if run.attempt < 1:
            raise RuntimeError("the handler's own")
        await step.sleep("nap", "1h")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step.run(f"t{n}", int, n)) for n in range(3)]
        return [first, parts, [task.result() for task in tasks], {"a", "b"}]

    outputs = []
    for always in (False, True):
        with Harness(app, always_replay=always) as world:
            [run] = world.send("go")
            world.finish()
            outputs.append(run.output)
    assert outputs[0] == outputs[1] == [1, [0, 1, 2, 7, "ValueError"], [0, 1, 2], {"a", "b"}]
