"""The `step` object of a handler: async in async handlers, sync in sync ones."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, overload

from qflow.core import asks
from qflow.core.durations import Duration, to_ms
from qflow.core.event import Event
from qflow.core.function import Function
from qflow.core.outcome import Effects, StepCall
from qflow.core.replay import Frame
from qflow.core.retry import Backoff, Policy, check_retries
from qflow.core.waits import Approval

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Since = Literal["run", "now"]


class Driver(Protocol):
    """Carries the effects of a step out, in the calling thread."""

    def __call__(self, effects: Effects) -> Any:
        """Return the step's value; raise its error, or Suspend."""
        ...

    def many(self, effects: Sequence[Effects], limit: int) -> list[Any]:
        """Return the values of steps side by side, `limit` at once; raise the first error at the end."""
        ...

    def parallel(self, branches: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return what branches with steps of their own give; raise the first error at the end."""
        ...


class AsyncDriver(Protocol):
    """Carries the effects of a step out, on the event loop."""

    async def __call__(self, effects: Effects) -> Any:
        """Return the step's value; raise its error, or Suspend."""
        ...

    async def many(self, effects: Sequence[Effects], limit: int) -> list[Any]:
        """Return the values of steps side by side, `limit` at once; raise the first error at the end."""
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
        self._drive(asks.sleep_until(self._frame, id, when))

    def wait_for_event(
        self,
        id: str,
        event: str | Sequence[str],
        *,
        match: str | None = None,
        when: str | None = None,
        timeout: Duration | None = None,
        since: Since = "run",
    ) -> Event | None:
        """Wait for an event of this name (or one of these), holding no worker; None at the time-out.

        `match="data.order_id"` takes only events that have the same there as the run's own event;
        `when` is an expression over `event` (the run's own) and `async` (the later one). An event
        that came after the run began counts, unless `since="now"`; none is given to two waits of a
        run.
        """
        return self._drive(asks.event(self._frame, id, event, match, (when, since), timeout))  # type: ignore[no-any-return]

    def wait_for_signal(self, id: str, name: str, *, timeout: Duration | None = None) -> Any:
        """Wait for `app.signal(name, data)`, holding no worker; give its data, None at the time-out.

        A signal has one waiter at a time: a second one fails with a StepError.
        """
        return self._drive(asks.signal(self._frame, id, name, timeout))

    def approval(
        self, id: str, title: str, *, assignee: str | None = None, timeout: Duration | None = None
    ) -> Approval | None:
        """Wait for a person to approve or reject (`qflow approvals`); None at the time-out."""
        return self._drive(asks.approval(self._frame, id, title, assignee, timeout))  # type: ignore[no-any-return]

    @overload
    def invoke(
        self,
        id: str,
        function: Function[R],
        *,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> R: ...
    @overload
    def invoke(
        self,
        id: str,
        function: str,
        *,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Any: ...
    def invoke(
        self,
        id: str,
        function: Function[Any] | str,
        *,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Run another function (or its id) with an event of these `data`; give what it returns.

        Raises StepError where that run fails, is cancelled, or has not ended at the time-out.
        """
        return self._drive(asks.child(self._frame, id, function, data, timeout))

    @overload
    def send_event(self, id: str, events: Event[Any]) -> str: ...
    @overload
    def send_event(self, id: str, events: Iterable[Event[Any]]) -> list[str]: ...
    def send_event(self, id: str, events: Event[Any] | Iterable[Event[Any]]) -> str | list[str]:
        """Send one event or many, exactly once; give the id of each."""
        ids = self._drive(asks.events(self._frame, id, events))
        return ids[0] if isinstance(events, Event) else ids  # type: ignore[no-any-return]

    def parallel(self, *branches: Callable[[], Any]) -> list[Any]:
        """Run functions whose steps are jobs that any worker takes, side by side. The functions' own code
        runs in turns.

        Gives their results in order; raises the first failure once all have ended.
        """
        return self._drive.parallel(asks.branches(branches))

    @overload
    def map(
        self,
        id: str,
        fn: Callable[[T], Coroutine[Any, Any, R]],
        items: Iterable[T],
        *,
        limit: int | None = None,
    ) -> list[R]: ...
    @overload
    def map(
        self, id: str, fn: Callable[[T], R], items: Iterable[T], *, limit: int | None = None
    ) -> list[R]: ...
    def map(
        self, id: str, fn: Callable[[Any], Any], items: Iterable[Any], *, limit: int | None = None
    ) -> list[Any]:
        """Run `fn(item)` as a step for each item, at most `limit` at once; give the results in order.

        Raises the first failure once all have ended.
        """
        calls = [self._options.call(id, fn, (item,), {}) for item in items]
        return self._drive.many([self._frame.run(c) for c in calls], asks.limit(limit, id))


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
        await self._drive(asks.sleep_until(self._frame, id, when))

    async def wait_for_event(
        self,
        id: str,
        event: str | Sequence[str],
        *,
        match: str | None = None,
        when: str | None = None,
        timeout: Duration | None = None,
        since: Since = "run",
    ) -> Event | None:
        """Wait for an event of this name (or one of these), holding no worker; None at the time-out.

        `match="data.order_id"` takes only events that have the same there as the run's own event;
        `when` is an expression over `event` (the run's own) and `async` (the later one). An event
        that came after the run began counts, unless `since="now"`; none is given to two waits of a
        run.
        """
        return await self._drive(asks.event(self._frame, id, event, match, (when, since), timeout))  # type: ignore[no-any-return]

    async def wait_for_signal(self, id: str, name: str, *, timeout: Duration | None = None) -> Any:
        """Wait for `app.signal(name, data)`, holding no worker; give its data, None at the time-out.

        A signal has one waiter at a time: a second one fails with a StepError.
        """
        return await self._drive(asks.signal(self._frame, id, name, timeout))

    async def approval(
        self, id: str, title: str, *, assignee: str | None = None, timeout: Duration | None = None
    ) -> Approval | None:
        """Wait for a person to approve or reject (`qflow approvals`); None at the time-out."""
        return await self._drive(asks.approval(self._frame, id, title, assignee, timeout))  # type: ignore[no-any-return]

    @overload
    async def invoke(
        self,
        id: str,
        function: Function[R],
        *,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> R: ...
    @overload
    async def invoke(
        self,
        id: str,
        function: str,
        *,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Any: ...
    async def invoke(
        self,
        id: str,
        function: Function[Any] | str,
        *,
        data: Mapping[str, Any] | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Run another function (or its id) with an event of these `data`; give what it returns.

        Raises StepError where that run fails, is cancelled, or has not ended at the time-out.
        """
        return await self._drive(asks.child(self._frame, id, function, data, timeout))

    @overload
    async def send_event(self, id: str, events: Event[Any]) -> str: ...
    @overload
    async def send_event(self, id: str, events: Iterable[Event[Any]]) -> list[str]: ...
    async def send_event(
        self, id: str, events: Event[Any] | Iterable[Event[Any]]
    ) -> str | list[str]:
        """Send one event or many, exactly once; give the id of each."""
        ids = await self._drive(asks.events(self._frame, id, events))
        return ids[0] if isinstance(events, Event) else ids  # type: ignore[no-any-return]

    @overload
    async def map(
        self,
        id: str,
        fn: Callable[[T], Coroutine[Any, Any, R]],
        items: Iterable[T],
        *,
        limit: int | None = None,
    ) -> list[R]: ...
    @overload
    async def map(
        self, id: str, fn: Callable[[T], R], items: Iterable[T], *, limit: int | None = None
    ) -> list[R]: ...
    async def map(
        self, id: str, fn: Callable[[Any], Any], items: Iterable[Any], *, limit: int | None = None
    ) -> list[Any]:
        """Run `fn(item)` as a step for each item, at most `limit` at once; give the results in order.

        Raises the first failure once all have ended.
        """
        calls = [self._options.call(id, fn, (item,), {}) for item in items]
        return await self._drive.many([self._frame.run(c) for c in calls], asks.limit(limit, id))
