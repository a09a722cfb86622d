"""Carries the effects of a step out, for sync handlers (on a thread) and async ones (on the loop).

The rules are in `core.replay`, written once; these two loops differ only in how they wait.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, Protocol

from qflow import crashpoints
from qflow.core.middleware import Around
from qflow.core.outcome import Answer, Effect, Execute, Raised, Returned, Store
from qflow.core.replay import Effects, inside_step
from qflow.engine.clock import Clock
from qflow.engine.commit import Committer
from qflow.engine.session import Session
from qflow.engine.threads import Threads
from qflow.errors import RedisError, StepTimeout, Suspend, UsageError
from qflow.store.script import Call

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


Surround = Callable[[Execute], Around]
"""What middleware puts around an execution of a step."""


class Line:
    """One claimed run driven on a thread: a sync handler."""

    def __init__(self, engine: Engine, session: Session) -> None:
        self.around: Surround | None = None
        self._engine = engine
        self._session = session
        self._lock = threading.Lock()
        self._thread = threading.get_ident()
        self._awaited: concurrent.futures.Future[Any] | None = None

    def __call__(self, effects: Effects) -> Any:
        """Run a step's effects to its value."""
        if threading.get_ident() != self._thread and not inside_step.get():
            raise UsageError(
                "a step of a sync handler was called on another thread: call steps from the handler "
                "itself, or make it async and use asyncio.gather"
            )
        answer: Answer = None
        try:
            while True:
                effect = effects.send(answer)
                answer = None
                if isinstance(effect, Execute):
                    around = self.around
                    if around is None:
                        answer = self._execute(effect)
                    else:
                        answer = self._execute_within(around(effect), effect)
                elif isinstance(effect, Store):
                    self._session.keep(effect.done)
                else:
                    self.write(effect)
        except StopIteration as stop:
            return stop.value

    def write(self, effect: Effect) -> None:
        """Carry out an outcome."""
        with self._lock:
            self.send(self._session.plan(effect))

    def flush(self) -> None:
        """Write what is outstanding, from another thread."""
        if self._lock.acquire(blocking=False):  # taken: it is being written just now
            try:
                self.send(self._session.plan_flush())
            finally:
                self._lock.release()

    def send(self, calls: list[Call]) -> None:
        """Write `calls` and settle their replies; raises Suspend where the run is let go of."""
        if calls:
            try:
                replies = self._engine.committer.submit(calls)
            except RedisError as error:
                raise self._session.lose(str(error)) from error
            crashpoints.reach("commit.after")
            self._session.settle(replies)

    def interrupt(self) -> None:
        """Tell the handler, from another thread, that its run was cancelled: an async step is
        cancelled, and a sync one's handler goes no further than to its next step."""
        if self._session.closed and not self._session.cancelled:
            return
        self._session.cancel()
        awaited = self._awaited
        if awaited is not None:
            awaited.cancel()

    def _execute(self, effect: Execute) -> Answer:
        call = effect.call
        started = self._engine.clock.now_ms()
        crashpoints.reach("step.before")
        try:
            if _is_async(call.fn):
                value = self._await_on_loop(effect, call.fn(*call.args, **call.kwargs))
            elif call.timeout_ms:
                value = _run_bounded(self._engine, effect)
            else:
                mark = inside_step.set(effect.step)
                try:
                    value = call.fn(*call.args, **call.kwargs)
                finally:
                    inside_step.reset(mark)
                if type(value) not in _PLAIN and isawaitable(
                    value
                ):  # a lambda or partial around an async function
                    value = self._await_on_loop(effect, value)
        except Suspend:
            raise
        except BaseException as error:  # noqa: BLE001  # SystemExit in a step fails the step, not the worker
            crashpoints.reach("step.after")
            return Raised(error, started, self._engine.clock.now_ms())
        crashpoints.reach("step.after")
        return Returned(value, started, self._engine.clock.now_ms())

    def _execute_within(self, around: Around, effect: Execute) -> Answer:
        answer: Answer = None
        try:
            with around:
                answer = self._execute(effect)
                if isinstance(answer, Raised):
                    raise answer.error
        except Suspend:
            raise
        except BaseException as error:  # noqa: BLE001  # the step's own, or a middleware's
            return _raised(error, answer, self._engine)
        return answer

    def _await_on_loop(self, effect: Execute, awaitable: Any) -> Any:
        async def bounded() -> Any:
            inside_step.set(effect.step)
            return await _within(effect, awaitable)

        loop = self._engine.loops.loop()
        self._awaited = asyncio.run_coroutine_threadsafe(bounded(), loop)
        try:
            return self._awaited.result()
        finally:
            self._awaited = None


class AsyncLine:
    """One claimed run driven on the event loop: an async handler."""

    def __init__(self, engine: Engine, session: Session) -> None:
        self.around: Surround | None = None
        self._engine = engine
        self._session = session
        self._turn = asyncio.Lock()  # one step of a run at a time
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()

    async def __call__(self, effects: Effects) -> Any:
        """Run a step's effects to its value."""
        answer: Answer = None
        if inside_step.get():  # refused here, for the outer step holds the turn
            effects.send(None)
        async with self._turn:
            while True:
                try:
                    effect = effects.send(answer)
                except StopIteration as stop:
                    return stop.value
                answer = None
                if isinstance(effect, Execute):
                    around = self.around
                    if around is None:
                        answer = await _aexecute(self._engine, effect)
                    else:
                        answer = await _aexecute_within(around(effect), self._engine, effect)
                elif isinstance(effect, Store):
                    self._session.keep(effect.done)
                else:
                    await self.write(effect)

    async def write(self, effect: Effect) -> None:
        """Carry out an outcome."""
        async with self._lock:
            await self.send(self._session.plan(effect))

    async def flush(self) -> None:
        """Write what is outstanding."""
        async with self._lock:
            await self.send(self._session.plan_flush())

    async def send(self, calls: list[Call]) -> None:
        """Write `calls` and settle their replies; raises Suspend where the run is let go of."""
        if calls:
            try:
                replies = await self._engine.committer.asubmit(calls)
            except RedisError as error:
                raise self._session.lose(str(error)) from error
            crashpoints.reach("commit.after")
            self._session.settle(replies)

    def interrupt(self) -> None:
        """Cancel the handler's task, from another thread: its run was cancelled."""
        self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        session = self._session
        if self._task is not None and (session.cancelled or not session.closed):
            session.cancel()
            self._task.cancel()
            self._task = None  # it is told once, and may take its time to end


async def _aexecute_within(around: Around, engine: Engine, effect: Execute) -> Answer:
    answer: Answer = None
    try:
        with around:
            answer = await _aexecute(engine, effect)
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
    return Raised(error, now_ms if answer is None else answer.started_ms, now_ms)


def _is_async(fn: Callable[..., Any]) -> bool:
    try:
        return _is_coroutine_function(fn)
    except TypeError:  # an unhashable callable
        return iscoroutinefunction(fn)


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


async def _aexecute(engine: Engine, effect: Execute) -> Answer:
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
