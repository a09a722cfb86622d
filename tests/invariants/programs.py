"""Random handlers as data, and how a handler carries one out, sync or async."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from qflow.core.step import Step, SyncStep
from qflow.errors import StepError

RETRIES = 2


class Failed(Exception):
    """What a step of a program raises."""


class Do(NamedTuple):
    """A step whose first `fails` tries raise; its value depends on the results so far."""

    id: str
    fails: int
    guarded: bool


class Nap(NamedTuple):
    """A sleep."""

    id: str


class If(NamedTuple):
    """A choice by the results so far."""

    odd: tuple[Any, ...]
    even: tuple[Any, ...]


ids = st.sampled_from(["a", "b", "c", "a:1"])
leaves = st.one_of(
    st.builds(Do, ids, st.integers(0, RETRIES + 2), st.booleans()), st.builds(Nap, ids)
)
programs = st.recursive(
    st.lists(leaves, max_size=5).map(tuple),
    lambda inner: st.lists(st.one_of(leaves, st.builds(If, inner, inner)), max_size=5).map(tuple),
    max_leaves=12,
)


def evaluate(fails: int, seen: tuple[Any, ...], tried: int) -> list[Any]:
    """What a step's function does at its `tried`-th try (0-based); run by the model's worker."""
    if tried < fails:
        raise Failed(f"try {tried}")
    return [len(seen), tried]


_evaluate: Callable[..., Any] = evaluate  # `tried` is the model's to give


def is_odd(results: list[Any]) -> bool:
    """The condition of If."""
    return sum(len(str(result)) for result in results) % 2 == 1


def run_sync(program: tuple[Any, ...], step: SyncStep, results: list[Any]) -> list[Any]:
    """Carry a program out as a sync handler."""
    for op in program:
        if isinstance(op, If):
            run_sync(op.odd if is_odd(results) else op.even, step, results)
        elif isinstance(op, Nap):
            step.sleep(op.id, 1)
        else:
            try:
                results.append(step.run(op.id, _evaluate, op.fails, tuple(results)))
            except StepError as error:
                if not op.guarded:
                    raise
                results.append(f"{error.name} {error.message}")
    return results


async def run_async(program: tuple[Any, ...], step: Step, results: list[Any]) -> list[Any]:
    """Carry a program out as an async handler."""
    for op in program:
        if isinstance(op, If):
            await run_async(op.odd if is_odd(results) else op.even, step, results)
        elif isinstance(op, Nap):
            await step.sleep(op.id, 1)
        else:
            try:
                results.append(await step.run(op.id, _evaluate, op.fails, tuple(results)))
            except StepError as error:
                if not op.guarded:
                    raise
                results.append(f"{error.name} {error.message}")
    return results
