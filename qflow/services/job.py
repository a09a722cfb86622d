"""The entry point that every job's RQ payload names: a stock `rq worker` executes a step through it.

RQ has popped the job and keeps its registries; here the run's lane is taken by the job's id, one step
is executed, and the next job is queued for whoever comes. qflow's own worker never comes this way:
it reads no payload.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from functools import cache
from typing import Any, Final

from qflow import config
from qflow.core.function import Function
from qflow.core.outcome import Effect
from qflow.engine.advance import Entry, doomed, prepare, run_async, run_sync
from qflow.engine.apply import exc_info
from qflow.engine.clock import Clock
from qflow.engine.commit import Committer
from qflow.engine.drive import Line
from qflow.engine.execute import Engine
from qflow.engine.frames import Frames
from qflow.engine.group import AsyncLine
from qflow.engine.hearing import listen
from qflow.engine.session import Session, Terms
from qflow.errors import QflowError, Suspend
from qflow.services.branches import Branches
from qflow.services.loader import load
from qflow.services.loop import LoopThread
from qflow.services.supervisor import logger_for, worker_options
from qflow.services.worker import Options
from qflow.store import lease
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import Claimed, Held, adopt, claimed, is_plain
from qflow.store.script import run
from qflow.store.url import from_client

_PATIENCE_S: Final = 60.0
_UNKNOWN_DELAY_MS: Final = 1000


class JobFailed(QflowError):
    """Raised for RQ to record: this attempt failed; qflow has decided what follows."""


def run_step() -> str:
    """Execute the current RQ job's step and queue what follows; return what became of it.

    Raises JobFailed, with the attempt's error, so that RQ marks the job failed; QflowError where the
    job cannot be executed here at all.
    """
    from rq import get_current_job

    job = get_current_job()
    if job is None:
        raise QflowError("run_step is called by RQ workers only; to start a run, send an event")
    settings = config.load({"namespace": job.origin})
    redis, keys = Redis(from_client(job.connection), _PATIENCE_S), Keys(job.origin)
    options = worker_options(settings)
    worker = f"{job.worker_name or 'rq'}.{os.urandom(3).hex()}".replace("|", "-")
    reply = run(redis, adopt(keys, worker, options.lease_ms, job.id))
    if not reply:
        return "superseded: the run has moved on"
    stopped = threading.Event()
    beat = threading.Thread(
        target=_keep_lease, args=(redis, keys, worker, options, stopped), daemon=True
    )
    beat.start()
    unlisten = listen(options.heard_bytes)
    try:
        return _execute(redis, keys, options, claimed(reply), reply[4], settings.path)
    finally:
        unlisten()
        stopped.set()
        beat.join()
        run(redis, lease.rescue(keys, worker, options.ttl_s, leaving=True))


def _execute(
    redis: Redis, keys: Keys, options: Options, taken: Claimed, now_ms: int, path: str
) -> str:
    name, attempt = taken.fields.get("fn", ""), int(taken.fields.get("attempt", "0"))
    held = Held(
        keys, taken.run, name, attempt, options.ttl_s, options.wip_ttl_s,
        taken.fields.get("created", "0"), is_plain(taken.fields),
        taken.fields.get("flow", ""),
    )  # fmt: skip
    engine = Engine(Committer(redis), Clock(now_ms), LoopThread("rq"))
    if taken.is_open:
        return _execute_open(engine, held, taken, path, options)
    first = taken.lane.token
    session: Session

    def one_step_done(_since: float, _function: str) -> bool:
        return session.stepped

    session = Session(
        held, taken.lane, Terms(options.keep, one_step_done, lambda: False, lambda: None)
    )
    effect = _enter(engine, _function(engine, session, path), taken, session)
    _check_failed(session.failed_job, first)
    return type(effect).__name__.lower() if effect is not None else "handed on"


def _execute_open(engine: Engine, held: Held, taken: Claimed, path: str, options: Options) -> str:
    terms = Terms(options.keep, lambda _since, _function: False, lambda: False, lambda: None)

    async def drive(entry: Entry, line: AsyncLine) -> None:
        await run_async(engine, entry, line)

    frames = Frames(engine, logger_for(), drive, lambda _line, _session: None)
    branches = Branches(engine, frames, lambda _claimed: held, terms)
    session = branches.session(taken)
    try:
        function = _functions(path)[held.function]
    except Exception as error:
        with suppress(Suspend):
            branches.release(session, _UNKNOWN_DELAY_MS)
        raise QflowError(_missing(held.function, path)) from error
    with suppress(Suspend):
        if function.is_async:
            work = branches.arun(taken, function, session, None)
            asyncio.run_coroutine_threadsafe(work, engine.loops.loop()).result()
        else:
            branches.run(taken, function, session)
    _check_failed(session.failed_job, taken.lane.token)
    return "handed on"


def _check_failed(failed: tuple[int, str] | None, token: int) -> None:
    if failed is not None and failed[0] == token:
        raise JobFailed(exc_info(failed[1]))


def _missing(function: str, path: str) -> str:
    return f"function {function!r} is not in {path!r}: start the RQ worker where it is, or set QFLOW_PATH"


def _function(engine: Engine, session: Session, path: str) -> Function[Any]:
    """Return the function of a run; where it is not to be had here, put the job back for later."""
    name = session.held.function
    try:
        return _functions(path)[name]
    except Exception as error:
        problem = _missing(name, path)
        with suppress(Suspend):
            Line(engine, session).send(session.plan_postpone(_UNKNOWN_DELAY_MS, problem))
        raise QflowError(problem) from error


def _enter(
    engine: Engine, function: Function[Any], taken: Claimed, session: Session
) -> Effect | None:
    entry = prepare(engine, function, taken, logger_for(), session.held.keys)
    doom = doomed(taken)
    try:
        if doom is not None:
            Line(engine, session).write(doom)
            return doom
        if function.is_async:
            line = _async_line(engine, session, entry)
            return asyncio.run_coroutine_threadsafe(
                run_async(engine, entry, line), engine.loops.loop()
            ).result()
        return run_sync(engine, entry, Line(engine, session))
    except Suspend:
        return None


def _async_line(engine: Engine, session: Session, entry: Entry) -> AsyncLine:
    def suspended(line: AsyncLine, _session: Session) -> None:
        asyncio.get_running_loop().call_soon(line.drop)  # RQ's worker keeps no frames

    async def make() -> AsyncLine:
        return AsyncLine(engine, session, entry.frame, entry.known, suspended)

    return asyncio.run_coroutine_threadsafe(make(), engine.loops.loop()).result()


def _keep_lease(
    redis: Redis, keys: Keys, worker: str, options: Options, stopped: threading.Event
) -> None:
    while not stopped.wait(options.lease_ms / 3000):
        seconds, micros = redis.call("TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        redis.call("ZADD", keys.leases, "XX", now_ms + options.lease_ms, worker)


@cache
def _functions(path: str) -> dict[str, Function[Any]]:
    return load(path)[0]
