"""Stubs: what happens in the place of a step's function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from qflow.core.outcome import Execute
from qflow.errors import UsageError

UNSET: Final[Any] = ...
Raises = BaseException | type[BaseException] | Sequence[BaseException | type[BaseException]]


class Called(NamedTuple):
    """One call of a stub."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Stub:
    """What `Harness.stub` returns: knows how it was called.

    `calls` has one entry for each attempt, `(args, kwargs)`, as the step's function would have been
    given them.
    """

    def __init__(self) -> None:
        self.calls: list[Called] = []

    def __repr__(self) -> str:
        return f"<stub, called {len(self.calls)} times>"


class Script(Stub):
    """A stub with what it does."""

    def __init__(self, fn: Callable[..., Any] | None, returns: Any, raises: Raises | None) -> None:
        super().__init__()
        if fn is not None and (returns is not UNSET or raises is not None):
            raise UsageError("a stub is given a function, or returns= and raises=, not both")
        if fn is None and returns is UNSET and raises is None:
            raise UsageError(
                "a stub needs something to do: returns=…, raises=… or a function to call"
            )
        self._fn = fn
        self._returns = returns
        self._always = raises if not isinstance(raises, Sequence) else None
        self._raises = list(raises) if isinstance(raises, Sequence) else []

    def in_place_of(self, effect: Execute) -> Execute:
        """Return the execution of this stub instead of a step's function."""
        real = effect.call.fn

        def stubbed(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(Called(args, kwargs))
            if self._always is not None:
                raise self._always
            if self._raises:
                raise self._raises.pop(0)
            if self._returns is not UNSET:
                return self._returns
            return (self._fn or real)(*args, **kwargs)

        return effect._replace(call=effect.call._replace(fn=stubbed))


class Stubs:
    """The stubs of a harness, by function and step; `otherwise` stands for all steps that have none."""

    def __init__(self, *, real_steps: bool) -> None:
        self.otherwise: Callable[[str, Execute], Execute] | None = None
        self._real_steps = real_steps
        self._stubs: dict[tuple[str, str], Script] = {}

    def add(self, function: str, step: str, stub: Script) -> None:
        """Let `stub` stand for a step from now on."""
        self._stubs[function, step] = stub

    def instead(self, function: str, effect: Execute) -> Execute:
        """Return what is executed for `effect`: a stub of this very id, of the id as the handler
        wrote it, or the step's own function."""
        for step in (effect.step, effect.call.id):
            if (function, step) in self._stubs:
                return self._stubs[function, step].in_place_of(effect)
        if self.otherwise is not None:
            return self.otherwise(function, effect)
        if not self._real_steps:
            raise UsageError(
                f"step {effect.step!r} of {function!r} has no stub, and real_steps=False keeps it from "
                f"running for real: world.stub({function!r}, {effect.call.id!r}, returns=…)"
            )
        return effect
