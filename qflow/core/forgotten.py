"""Remembers the calls of an async handler's steps, so that one that is never awaited is not overlooked:
it does nothing, and the run would complete without it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Asked = list[tuple[str, Coroutine[Any, Any, Any]]]


def noted(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Have each call of a step object's method noted in its frame, as `step.run('id')`."""
    name = method.__name__

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        made = method(*args, **kwargs)
        step: Any = args[0]
        step_id = args[1] if len(args) > 1 else kwargs["id"]
        step._frame.asked.append((f"step.{name}({step_id!r})", made))  # noqa: SLF001  # of its class
        return made

    return call


def never_awaited(asked: Asked) -> list[str]:
    """Return the calls that nobody has awaited so far."""
    return [call for call, made in asked if getcoroutinestate(made) == CORO_CREATED]


def forget(asked: Asked) -> None:
    """Let go of all calls, without the warning that Python has for each that was not awaited."""
    for _, made in asked:
        if getcoroutinestate(made) == CORO_CREATED:
            made.close()
    asked.clear()
