"""Advances one claimed run in this worker: load what is known, enter the handler, apply what follows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from qflow import crashpoints
from qflow.core import codec
from qflow.core.attempt import MAX_DEATHS, Target
from qflow.core.context import Run
from qflow.core.edit import Edit
from qflow.core.event import SYSTEM, Event, from_text
from qflow.core.function import Function, event_model
from qflow.core.memo import Memo
from qflow.core.middleware import Around, Hooks, Place, opened, opened_error
from qflow.core.origin import Origin
from qflow.core.outcome import Answer, Effect, Fail, Raised, Returned
from qflow.core.patches import FIELD, Patches
from qflow.core.replay import Frame, inside_step
from qflow.core.step import Options, Step, SyncStep
from qflow.engine.drive import Known, Line
from qflow.engine.execute import Engine, surround
from qflow.engine.group import AsyncLine
from qflow.errors import EventError, QflowError, SealedError, Suspend, UsageError, WorkerDied
from qflow.store import open as stored
from qflow.store.keys import Keys
from qflow.store.run import Claimed, Lane

LoggerFor = Callable[[str, str, int, Callable[[], bool]], Any]
"""(run id, function id, attempt, whether to be silent) → the `run.logger` of a handler."""

_NOTHING: Final = nullcontext()


@dataclass(frozen=True)
class Entry:
    """A claimed job, ready to enter its function's handler."""

    function: Function[Any]
    run_id: str
    frame: Frame
    logger: Any
    known: Known
    ready: list[tuple[str, str]]
    patches: Patches

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled meanwhile."""
        return self.known.notes.cancelled

    def patched(self, patch: str) -> bool:
        """Whether the run takes the new path at a change of its code."""
        step = inside_step.get()
        if step:
            raise UsageError(
                f"run.patched({patch!r}) was called in step {step!r}: call it in the handler, and give "
                "the two paths steps of their own"
            )
        return self.patches.take(patch, replaying=self.frame.behind)

    @property
    def attempt(self) -> int:
        """Failed tries of the handler's own code."""
        return int(self.known.fields.get("attempt", "0"))

    @property
    def run(self) -> Run:
        """The run as its handler and middleware see it."""
        return Run(self.run_id, self.function.id, self.attempt, self.logger, self)


def prepare(
    engine: Engine, function: Function[Any], claimed: Claimed, logger_for: LoggerFor, keys: Keys
) -> Entry:
    """Return the entry of a claimed job. Of a run that has had open steps the rest is read now.

    The results of open steps are told to an async handler in their order (`ready`); to a sync one,
    whose branches cannot race each other, all at once.
    """
    fields, steps, open_steps, ready = claimed.fields, claimed.steps, frozenset[str](), list[str]()
    if claimed.is_open or fields.get("forked") == "1":
        loaded = stored.loaded(engine.redis.pipeline(stored.load(keys, claimed.run))[-1])
        fields, steps, open_steps = loaded.fields, loaded.steps, loaded.open
        ready = [step for step in loaded.order if function.is_async and step in steps]
    memo = (
        {step: text for step, text in steps.items() if step not in set(ready)} if ready else steps
    )
    lane = Lane("w", 0, 0, 0, "", "") if claimed.is_open else claimed.lane
    attempt = int(fields.get("attempt", "0"))
    frame = Frame(
        claimed.run,
        Memo(memo),
        Target(lane.step, lane.attempt, lane.deaths),
        function.policy,
        attempt=attempt,
        now_ms=engine.clock.now_ms,
        hooks=function.hooks,
    )
    frame.origin = Origin(claimed.run, function.hooks, fields)
    frame.edit = _edit(fields.get("edit"))
    frame.expect(len(ready), open_steps)
    logger = logger_for(claimed.run, function.id, attempt, lambda: frame.replaying)
    told = int(fields.get("settled", "0")) - len(ready)
    known = Known(fields, open_steps, told, engine.lookback(keys))
    noted = (name.removeprefix(FIELD) for name in fields if name.startswith(FIELD))
    patches = Patches(noted, known.notes.marks.append)
    results = [(step, steps[step]) for step in ready]
    return Entry(function, claimed.run, frame, logger, known, results, patches)


def run_sync(engine: Engine, entry: Entry, line: Line) -> Effect | None:
    """Enter a sync handler on this thread; return how its run ended, None where it did not."""
    crashpoints.reach("handler.entered")
    options = Options.of(entry.function.policy)
    answer: Answer
    line.begin(entry.frame, entry.known)
    try:
        with _around(entry, line):
            arguments = _arguments(entry, SyncStep(entry.frame, line, options))
            value = entry.function.handler(**arguments)
        answer = Returned(value, 0, engine.clock.now_ms())
    except Suspend:
        return None
    except BaseException as error:  # noqa: BLE001  # SystemExit in a handler fails the run, not the worker
        answer = Raised(error, 0, engine.clock.now_ms())
    if line.session is None or line.session.closed:
        return None  # the handler caught what unwinds it
    effect = entry.frame.conclude(answer)
    try:
        crashpoints.reach("finish.before")
        line.write(effect)
    except Suspend:
        crashpoints.reach("finish.after")
        return None if line.session.fenced else effect
    return effect


async def run_async(engine: Engine, entry: Entry, line: AsyncLine) -> Effect | None:
    """Enter an async handler on the event loop; return how its run ended, None where it did not."""
    crashpoints.reach("handler.entered")
    options = Options.of(entry.function.policy)
    answer: Answer
    line.begin(entry.ready)
    try:
        with _around(entry, line):
            arguments = _arguments(entry, Step(entry.frame, line, options))
            value = await entry.function.handler(**arguments)
        answer = Returned(value, 0, engine.clock.now_ms())
    except Suspend:
        return None
    except asyncio.CancelledError:
        if line.planner.dead:
            return None
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()  # nobody but the handler itself cancels it, and its end is to be written
        answer = Raised(EventError("the handler was cancelled"), 0, engine.clock.now_ms())
    except GeneratorExit:  # the loop is gone, and the frame with it
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit in a handler fails the run, not the worker
        answer = Raised(error, 0, engine.clock.now_ms())
    if line.unwound:
        return None  # the handler caught what unwinds it, or a group of tasks wrapped it
    line.planner.end()
    effect = entry.frame.conclude(answer)
    try:
        crashpoints.reach("finish.before")
        await line.write(effect)
    except Suspend:
        crashpoints.reach("finish.after")
        return None if line.session is None or line.session.fenced else effect
    return effect


def doomed(claimed: Claimed) -> Fail | None:
    """Return how a run ends whose handler keeps killing its worker outside its steps, else None.

    A step is failed by itself (`core.replay`); where its worker goes on dying after that, or before
    the step is reached at all, the step is not to blame.
    """
    lane = claimed.lane
    if lane.deaths < MAX_DEATHS * (2 if lane.step else 1):
        return None
    where = f"around step {lane.step!r}" if lane.step else "on entering the handler"
    error = WorkerDied(
        f"its worker died {lane.deaths} times {where}; see what the handler does to its "
        "process (memory, signals, native code)"
    )
    return Fail(json.dumps(codec.encode_error(error)))


def _edit(text: str | None) -> Edit | None:
    return Edit(**json.loads(text)) if text else None


def _around(entry: Entry, line: Line | AsyncLine) -> AbstractContextManager[None]:
    """Return what surrounds the entry; tell `line` what surrounds its steps."""
    hooks = entry.function.hooks
    if hooks is None:
        return _NOTHING
    run = entry.run
    line.around = surround(hooks, run)
    return Around(hooks.runs, run)


def _arguments(entry: Entry, step: Step | SyncStep) -> dict[str, Any]:
    """Return what the handler is called with; whatever is encoded is decoded before it is entered."""
    function = entry.function
    arguments: dict[str, Any] = {}
    try:
        entry.frame.open()
        for name in function.wants:
            if name == "step":
                arguments[name] = step
            elif name == "run":
                arguments[name] = entry.run
            else:
                event = _event(function, entry.frame.origin.event_text)
                others = [] if name == "event" else _others(function, entry.known.fields)
                arguments[name] = [event, *others] if name == "events" else event
    except SealedError as error:
        raise type(error)(f"run {entry.run_id}: {error}") from None
    return arguments


def _others(function: Function[Any], fields: Mapping[str, str]) -> list[Event[Any]]:
    """Return the events of a batch besides its first."""
    count = int(fields.get("batched", "1"))
    return [_event(function, fields[f"event:{n}"]) for n in range(2, count + 1)]


def opened_end(hooks: Hooks, text: str) -> str:
    """Return an event of qflow's own with what it tells of a run opened: that was sealed by itself."""
    event = json.loads(text)
    if event["name"] not in SYSTEM:
        return text
    data = event["data"]
    own, run = data["event"], data["run_id"]
    own["data"] = json.loads(
        opened(hooks, json.dumps(own["data"]), Place("event", own["id"], own["name"]))
    )
    if "error" in data:
        data["error"] = opened_error(hooks, data["error"], Place("error", run))
    if "output" in data:
        data["output"] = json.loads(opened(hooks, json.dumps(data["output"]), Place("output", run)))
    return json.dumps(event)


def _event(function: Function[Any], text: str) -> Event[Any]:
    hooks = function.hooks
    if hooks is not None and codec.TAG in text:
        text = opened_end(hooks, text)
    event = from_text(text, lambda data, id_, name: opened(hooks, data, Place("event", id_, name)))
    model = _model(function.handler)
    if model is None:
        return event
    try:
        return replace(event, data=codec.revive(event.data, model))
    except QflowError as error:
        raise EventError(
            f"event {event.name!r} ({event.id}) does not fit {getattr(model, '__name__', model)}: {error}"
        ) from error


@lru_cache(maxsize=1024)
def _model(handler: Callable[..., Any]) -> Any:
    return event_model(handler)
