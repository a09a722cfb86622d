"""The `step` object of a handler: async in async handlers, sync in sync ones."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from qflow.core.durations import Duration, to_ms, until_ms
from qflow.core.outcome import StepCall
from qflow.core.replay import Effects, Frame
from qflow.core.retry import Backoff, Policy, check_retries
from qflow.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")


class Driver(Protocol):
    """Carries the effects of a step out, in the calling thread."""

    def __call__(self, effects: Effects) -> Any:
        """Return the step's value; raise its error, or Suspend."""
        ...


class AsyncDriver(Protocol):
    """Carries the effects of a step out, on the event loop."""

    async def __call__(self, effects: Effects) -> Any:
        """Return the step's value; raise its error, or Suspend."""
        ...


class Options:
    """Retries, time-out and backoff of one step, over those of its function."""

    __slots__ = ("backoff", "retries", "timeout_ms")

    def __init__(self, retries: int, timeout_ms: int, backoff: Backoff | None) -> None:
        self.retries = retries
        self.timeout_ms = timeout_ms
        self.backoff = backoff

    @classmethod
    def of(cls, policy: Policy) -> Options:
        """Return the options that a function's policy gives each of its steps."""
        return cls(policy.retries, policy.timeout_ms, policy.backoff)

    def changed(
        self, retries: int | None, timeout: Duration | None, backoff: Backoff | None
    ) -> Options:
        """Return these options with what is not None replaced; raise DefinitionError for nonsense."""
        return Options(
            self.retries if retries is None else check_retries(retries, "step.options"),
            self.timeout_ms if timeout is None else to_ms(timeout, "step.options(timeout=)"),
            self.backoff if backoff is None else backoff,
        )

    def call(
        self, step_id: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> StepCall:
        """Return the call of `fn` under these options."""
        return StepCall(step_id, fn, args, kwargs, self.retries, self.timeout_ms, self.backoff)


class SyncStep:
    """Steps of a sync handler; each call returns when the step has finished."""

    __slots__ = ("_drive", "_frame", "_options")

    def __init__(self, frame: Frame, drive: Driver, options: Options) -> None:
        self._frame = frame
        self._drive = drive
        self._options = options

    def options(
        self,
        *,
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
    ) -> SyncStep:
        """Return a step object whose `run` uses these instead of the function's own."""
        return SyncStep(self._frame, self._drive, self._options.changed(retries, timeout, backoff))

    @overload
    def run(
        self, id: str, fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def run(self, id: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run `fn(*args, **kwargs)` once, remember its result under `id`, and return it.

        `fn` may be sync or async. Raises StepError once all attempts have failed.
        """
        return self._drive(self._frame.run(self._options.call(id, fn, args, kwargs)))

    def sleep(self, id: str, duration: Duration) -> None:
        """Sleep for `duration`, holding no worker; survives restarts."""
        self._drive(self._frame.sleep(id, to_ms(duration, f"step.sleep({id!r})"), 0))

    def sleep_until(self, id: str, when: datetime) -> None:
        """Sleep until `when` (an aware datetime); a time in the past passes at once."""
        self._drive(self._frame.sleep(id, 0, _due_ms(id, when, self._frame.now_ms())))


class Step:
    """Steps of an async handler; await each call."""

    __slots__ = ("_drive", "_frame", "_options")

    def __init__(self, frame: Frame, drive: AsyncDriver, options: Options) -> None:
        self._frame = frame
        self._drive = drive
        self._options = options

    def options(
        self,
        *,
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
    ) -> Step:
        """Return a step object whose `run` uses these instead of the function's own."""
        return Step(self._frame, self._drive, self._options.changed(retries, timeout, backoff))

    @overload
    async def run(
        self, id: str, fn: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def run(self, id: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run `fn(*args, **kwargs)` once, remember its result under `id`, and return it.

        `fn` may be async or sync (it then runs on a thread, so that it never blocks the event
        loop). Raises StepError once all attempts have failed.
        """
        return await self._drive(self._frame.run(self._options.call(id, fn, args, kwargs)))

    async def sleep(self, id: str, duration: Duration) -> None:
        """Sleep for `duration`, holding no worker; survives restarts."""
        await self._drive(self._frame.sleep(id, to_ms(duration, f"step.sleep({id!r})"), 0))

    async def sleep_until(self, id: str, when: datetime) -> None:
        """Sleep until `when` (an aware datetime); a time in the past passes at once."""
        await self._drive(self._frame.sleep(id, 0, _due_ms(id, when, self._frame.now_ms())))


def _due_ms(step_id: str, when: object, now_ms: int) -> int:
    if not isinstance(when, datetime):
        raise UsageError(
            f"step.sleep_until({step_id!r}) needs an aware datetime, not {type(when).__name__}; "
            "for a duration use step.sleep"
        )
    return max(1, until_ms(when, now_ms, f"step.sleep_until({step_id!r})"))
