"""Executes the functions of steps, and knows what every run of a worker shares for that."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, Protocol, TypeVar

from qflow import crashpoints
from qflow.core.context import Run
from qflow.core.middleware import Around, Hooks, StepContext
from qflow.core.outcome import Answer, Execute, Raised, Returned
from qflow.core.replay import inside_step
from qflow.core.said import hearing
from qflow.engine.clock import Clock
from qflow.engine.commit import Committer
from qflow.engine.hearing import Heard
from qflow.engine.lookback import Lookback
from qflow.engine.threads import Threads
from qflow.errors import StepTimeout, Suspend
from qflow.store.keys import Keys
from qflow.store.redis import Redis

T = TypeVar("T")

_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes, list, dict, tuple))
_is_coroutine_function = functools.lru_cache(maxsize=4096)(iscoroutinefunction)


class Loops(Protocol):
    """Where async functions of sync handlers run: the process's event loop."""

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop of this process."""
        ...


class Engine:
    """What every run of a worker shares: the way to Redis, its clock, its event loop."""

    def __init__(self, committer: Committer, clock: Clock, loops: Loops) -> None:
        self.committer = committer
        self.clock = clock
        self.loops = loops
        self.threads = Threads()
        self._lookback: Lookback | None = None

    def lookback(self, keys: Keys) -> Lookback:
        """Return what looks back for waits in the namespace of this worker."""
        if self._lookback is None:
            self._lookback = Lookback(self.redis, keys)
        return self._lookback

    async def aside(self, work: Callable[[], T]) -> T:
        """Return what `work` gives, done on a thread: it waits for Redis, the event loop must not."""
        return await asyncio.wrap_future(self.threads.run(work))

    @property
    def redis(self) -> Redis:
        """The Redis that commits go to."""
        return self.committer.redis


class Awaited:
    """The coroutine that a thread waits for; whoever hears that its run was cancelled stops it."""

    def __init__(self) -> None:
        self._future: concurrent.futures.Future[Any] | None = None
        self._stopped = False

    def result(self, future: concurrent.futures.Future[T]) -> T:
        """Wait for what `future` gives."""
        self._future = future
        if self._stopped:  # before it was known here
            future.cancel()
        try:
            return future.result()
        finally:
            self._future = None

    def cancel(self) -> None:
        """Stop it, from another thread."""
        self._stopped = True
        future = self._future
        if future is not None:
            future.cancel()


Surround = Callable[[Execute], Around]
"""What middleware puts around an execution of a step."""


def surround(hooks: Hooks | None, run: Run) -> Surround | None:
    """Return what middleware puts around each execution of a step of `run`, None where nothing."""
    if hooks is None or not hooks.steps:
        return None
    steps = hooks.steps
    return lambda effect: Around(steps, StepContext(run, effect.step, effect.attempt))


def execute_within(around: Around, engine: Engine, effect: Execute, awaited: Awaited) -> Answer:
    """Do as `execute`, surrounded by middleware."""
    answer: Answer = None
    try:
        with around:
            answer = execute(engine, effect, awaited)
            if isinstance(answer, Raised):
                raise answer.error
    except Suspend:
        raise
    except BaseException as error:  # noqa: BLE001  # the step's own, or a middleware's
        return _raised(error, answer, engine)
    return answer


async def aexecute_within(around: Around, engine: Engine, effect: Execute) -> Answer:
    """Do as `aexecute`, surrounded by middleware."""
    answer: Answer = None
    try:
        with around:
            answer = await aexecute(engine, effect)
            if isinstance(answer, Raised):
                raise answer.error
    except Suspend:
        raise
    except asyncio.CancelledError as error:
        if answer is None:
            raise  # it is the task that is cancelled
        return _raised(error, answer, engine)
    except BaseException as error:  # noqa: BLE001  # the step's own, or a middleware's
        return _raised(error, answer, engine)
    return answer


def _raised(error: BaseException, answer: Answer, engine: Engine) -> Raised:
    now_ms = engine.clock.now_ms()
    if isinstance(answer, (Returned, Raised)):
        return Raised(error, answer.started_ms, now_ms, answer.said)
    return Raised(error, now_ms, now_ms)


def execute(engine: Engine, effect: Execute, awaited: Awaited) -> Answer:
    """Execute a step's function on this thread; return what came of it, and what it said."""
    heard = Heard(engine.clock.now_ms)
    mark = hearing.set(heard)
    try:
        return heard.told(_execute(engine, effect, awaited), effect.call)
    finally:
        hearing.reset(mark)


def _execute(engine: Engine, effect: Execute, awaited: Awaited) -> Returned | Raised:
    call = effect.call
    started = engine.clock.now_ms()
    crashpoints.reach("step.before")
    try:
        if _is_async(call.fn):
            value = _await_on_loop(engine, effect, call.fn(*call.args, **call.kwargs), awaited)
        elif call.timeout_ms:
            value = _run_bounded(engine, effect)
        else:
            mark = inside_step.set(effect.step)
            try:
                value = call.fn(*call.args, **call.kwargs)
            finally:
                inside_step.reset(mark)
            if type(value) not in _PLAIN and isawaitable(
                value
            ):  # a lambda or partial around an async function
                value = _await_on_loop(engine, effect, value, awaited)
    except Suspend:
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit in a step fails the step, not the worker
        crashpoints.reach("step.after")
        return Raised(error, started, engine.clock.now_ms())
    crashpoints.reach("step.after")
    return Returned(value, started, engine.clock.now_ms())


def _is_async(fn: Callable[..., Any]) -> bool:
    try:
        return _is_coroutine_function(fn)
    except TypeError:  # an unhashable callable
        return iscoroutinefunction(fn)


def _await_on_loop(engine: Engine, effect: Execute, awaitable: Any, awaited: Awaited) -> Any:
    async def bounded() -> Any:
        inside_step.set(effect.step)
        return await _within(effect, awaitable)

    return awaited.result(asyncio.run_coroutine_threadsafe(bounded(), engine.loops.loop()))


def _run_bounded(engine: Engine, effect: Execute) -> Any:
    """Run a sync function on a thread of its own and give it up at the time-out.

    Python cannot stop a thread: it goes on until its function returns, and its result is ignored.
    """
    call = effect.call
    mark = inside_step.set(effect.step)
    future = engine.threads.run(functools.partial(call.fn, *call.args, **call.kwargs))
    inside_step.reset(mark)
    try:
        return future.result(call.timeout_ms / 1000)
    except concurrent.futures.TimeoutError:
        if future.done():
            raise
        raise _timed_out(effect) from None


async def aexecute(engine: Engine, effect: Execute) -> Answer:
    """Execute a step's function on the event loop; return what came of it, and what it said."""
    heard = Heard(engine.clock.now_ms)
    mark = hearing.set(heard)
    try:
        return heard.told(await _aexecute(engine, effect), effect.call)
    finally:
        hearing.reset(mark)


async def _aexecute(engine: Engine, effect: Execute) -> Returned | Raised:
    call = effect.call
    started = engine.clock.now_ms()
    crashpoints.reach("step.before")
    mark = inside_step.set(effect.step)
    try:
        if _is_async(call.fn):
            value = await _within(effect, call.fn(*call.args, **call.kwargs))
        else:
            bound = functools.partial(call.fn, *call.args, **call.kwargs)
            value = await _within(effect, asyncio.wrap_future(engine.threads.run(bound)))
            if isawaitable(value):
                value = await _within(effect, value)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Raised(error, started, engine.clock.now_ms())
    except Suspend:
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit in a step fails the step, not the worker
        return Raised(error, started, engine.clock.now_ms())
    finally:
        inside_step.reset(mark)
        crashpoints.reach("step.after")
    return Returned(value, started, engine.clock.now_ms())


async def _within(effect: Execute, awaitable: Awaitable[Any]) -> Any:
    seconds = effect.call.timeout_ms / 1000
    if not seconds:
        return await awaitable
    task = asyncio.ensure_future(awaitable)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()  # also where the waiting itself was cancelled; nothing where it is done
    if done:
        return task.result()
    raise _timed_out(effect)


def _timed_out(effect: Execute) -> StepTimeout:
    return StepTimeout(
        f"step {effect.step!r} ran longer than its time-out of {effect.call.timeout_ms / 1000:g} s"
    )
