"""A run's story: its steps with their attempts, its waits in the queue, where it stands now.

The trace tells what happened and when, the steps hash what each finished step gave, the lane who
holds the run. The three are read at one moment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from qflow.core.ids import step_hash
from qflow.read import snapshot
from qflow.read.nearest import NotFound
from qflow.read.runs import RunRow
from qflow.read.snapshot import clock_ms, number, pairs, text
from qflow.store.gate import limits_of
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import Lane

Entry = dict[str, Any]
"""An entry of a trace: its JSON, `at` (Redis's time in ms), and `due` or `step` where given."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a step or of the handler's own code.

    `outcome` is ok, failed (for good), retry (failed, another follows), died (with its worker) or
    running. `started` is unknown where the worker died. `log` is what it printed and logged, as the
    trace keeps it: lines of ms since its start, level and text.
    """

    number: int
    outcome: str
    started: int | None = None
    ended: int | None = None
    error: dict[str, Any] | None = None
    due: int | None = None
    log: Any = None


@dataclass(frozen=True, slots=True)
class StepView:
    """A step: `kind` step, sleep, event, signal, approval or run (an invoked one); `status` completed,
    failed, running, queued, waiting (for its next attempt, or for what `wants` says), sleeping or
    dropped (not reached again before the run ended). `since` is when a wait began, `match` what an event has
    to be like, `received` the one that was, `sent` those that it sent, `child` the run that was invoked."""

    id: str
    kind: str
    status: str
    attempts: tuple[Attempt, ...]
    due: int | None
    output: Any
    error: dict[str, Any] | None
    wants: str = ""
    child: str = ""
    since: int | None = None
    match: str = ""
    received: str = ""
    sent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker took the run's job from the queue `at` this time; it had been `queued` since then."""

    worker: str
    at: int
    queued: int

    @property
    def wait_ms(self) -> int:
        """How long the job waited in the queue."""
        return max(0, self.at - self.queued)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run whole. `handler` has the tries of the handler's own code that failed or died; `reason` says
    why it was cancelled or skipped, `held` why it was to start later, `origin` is the run that it was made
    from, `again` the one made from it; "" where there is none. `limits` are those for whose slots it, or
    an open step of it, waits."""

    row: RunRow
    app: str
    version: str
    event: dict[str, Any]
    worker: str
    due: int | None
    claims: tuple[Claim, ...]
    handler: tuple[Attempt, ...]
    steps: tuple[StepView, ...]
    output: Any
    error: dict[str, Any] | None
    parent: str
    reason: str
    origin: str
    again: str
    now: int
    held: str = ""
    limits: tuple[str, ...] = ()


def timeline(redis: Redis, keys: Keys, run: str) -> Timeline:
    """Return the story of a run; raise NotFound where it is not there (any more)."""
    flat, steps, opened, waits, raw, time = snapshot.together(
        redis,
        [
            ("HGETALL", keys.run(run)), ("HGETALL", keys.steps(run)), ("HVALS", keys.open(run)),
            ("HGETALL", keys.waits(run)), ("XRANGE", keys.trace(run), "-", "+"), ("TIME",),
        ],
    )  # fmt: skip
    fields = pairs(flat)
    if not fields:
        raise NotFound(f"run {run} is gone: its record has expired")
    lane = Lane.parse(fields["lane"])
    entries = [entry(item) for item in raw]
    lanes = [lane, *(Lane.parse(text(record)) for record in opened)]
    around = _Around(run, _results(pairs(steps)), lanes, _number(fields, "due"), pairs(waits))
    story = _Story(entries, around)
    row = RunRow(
        run, fields["fn"], fields["status"], int(fields["created"]), _number(fields, "started"),
        _number(fields, "ended"), json.loads(fields["error"]) if "error" in fields else None,
    )  # fmt: skip
    return Timeline(
        row=row,
        app=fields.get("app", ""),
        version=fields.get("version", ""),
        event=json.loads(fields["event"]),
        worker=lane.worker if lane.state == "s" else "",
        due=_number(fields, "due"),
        claims=tuple(Claim(e["w"], e["at"], int(e["q"])) for e in entries if e["t"] == "claim"),
        handler=tuple(story.attempts.get("", ())),
        steps=story.steps(),
        output=json.loads(fields["output"]) if "output" in fields else None,
        error=row.error,
        parent=fields.get("parent", ""),
        reason=fields.get("reason", ""),
        origin=fields.get("origin", ""),
        again=fields.get("again", ""),
        limits=_waited_for(fields.get("flow", ""), lanes),
        now=clock_ms(time),
        held=fields.get("held", ""),
    )


def entry(item: list[Any]) -> Entry:
    """Read an entry of a trace stream."""
    fields = pairs(item[1])
    told: Entry = json.loads(fields["j"])
    told["at"] = int(text(item[0]).partition("-")[0])
    if "due" in fields:
        told["due"] = int(fields["due"])
    if "step" in fields:
        told["id"] = fields["step"]
    return told


def _number(fields: dict[str, str], name: str) -> int | None:
    return number(fields[name].encode()) if name in fields else None


def _results(steps: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {step: json.loads(result) for step, result in steps.items()}


class _Around(NamedTuple):
    """What there is of a run beside its trace."""

    run: str
    results: dict[str, dict[str, Any]]
    lanes: list[Lane]
    due: int | None
    waits: dict[str, str]

    def match(self, step: str) -> str:
        """Return what an event has to be like that a step waits for."""
        text = self.waits.get(step_hash(step))
        spec = json.loads(text) if text else {}
        path, when = spec.get("path"), spec.get("when")
        value = json.dumps(spec.get("value"), ensure_ascii=False)
        return " and ".join(filter(None, (f"{path} = {value}" if path else "", when or "")))

    def received(self, step: str) -> str:
        """Return the event that a step was given."""
        wanted = step_hash(step)
        given = (k[2:] for k, v in self.waits.items() if v == wanted and k.startswith("e:"))
        return next(given, "")

    def sent(self, step: str, output: Any) -> tuple[str, ...]:
        """Return the events that a step sent: their ids are made of the run's and its own."""
        stem = f"{self.run}-{step_hash(step)}-"
        ids = output if isinstance(output, list) else []
        sent = tuple(each for each in ids if isinstance(each, str) and each.startswith(stem))
        return sent if len(sent) == len(ids) else ()


class _Story:
    """Steps in the order in which they were first heard of, with their attempts."""

    def __init__(self, entries: list[Entry], around: _Around) -> None:
        self.attempts: dict[str, list[Attempt]] = {}
        self._waits: dict[str, Entry] = {}
        self._around = around
        self._results = around.results
        self._lanes = {lane.step: lane for lane in around.lanes if lane.state != "e"}
        self._due = around.due
        self._last = entries[-1]["at"] if entries else None
        for told in entries:
            self._hear(told)

    def steps(self) -> tuple[StepView, ...]:
        """Return the steps; those that are executing have a running attempt."""
        for step, lane in self._lanes.items():
            if not step:
                continue
            tries = self.attempts.setdefault(step, [])
            if lane.state == "s" and step not in self._waits:
                tries.append(Attempt(lane.attempt, "running", self._last))
        return tuple(self._view(step) for step in self.attempts if step)

    def _hear(self, told: Entry) -> None:
        kind, step = told["t"], told.get("id", "")
        if kind not in ("step", "retry", "died", "sleep", "wait"):
            return
        tries = self.attempts.setdefault(step, [])
        if kind in ("sleep", "wait"):
            self._waits[step] = told
        elif kind == "step" and step in self._waits:
            outcome, error = ("ok", None) if told["ok"] else ("failed", self._error(step))
            tries.append(Attempt(0, outcome, self._waits[step]["at"], told["e"], error))
        elif kind == "step":
            error = None if told["ok"] else self._error(step)
            outcome = "ok" if told["ok"] else "failed"
            log = told.get("log")
            tries.append(Attempt(told["a"], outcome, told["s"], told["e"], error, None, log))
        elif kind == "retry":
            started, ended = told["s"] or None, told["e"] or told["at"]
            error, due, log = told["error"], told.get("due"), told.get("log")
            tries.append(Attempt(told["a"], "retry", started, ended, error, due, log))
        elif step not in self._waits:
            after = tries[-1].number + 1 if tries else 0
            tries.append(Attempt(after, "died", None, told["at"], _death(told["w"])))

    def _error(self, step: str) -> dict[str, Any] | None:
        error: dict[str, Any] | None = self._results.get(step, {}).get("error")
        return error

    def _view(self, step: str) -> StepView:
        result = self._results.get(step)
        wait = self._waits.get(step, {})
        lane = self._lanes.get(step)
        due = self._due if lane is not None and lane.state == "d" else None
        kind = {"": "step", "child": "run"}.get(_kind(wait), _kind(wait))
        output, around = result.get("ok") if result else None, self._around
        return StepView(
            id=step,
            kind=kind,
            status=self._step_status(kind, result, lane),
            attempts=tuple(self.attempts[step]),
            due=wait.get("due") if due is None else due,
            output=output,
            error=result.get("error") if result else None,
            wants=wait.get("for", ""),
            child=wait.get("run", ""),
            since=wait.get("at"),
            match=around.match(step) if kind == "event" else "",
            received=around.received(step) if kind == "event" else "",
            sent=around.sent(step, output) if kind == "step" else (),
        )

    def _step_status(self, kind: str, result: dict[str, Any] | None, lane: Lane | None) -> str:
        if result is not None:
            return "completed" if "ok" in result else "failed"
        if lane is None:
            return "dropped"
        held = {"q": "queued", "h": "queued", "b": "queued", "s": "running"}
        return held.get(lane.state, "sleeping" if kind == "sleep" else "waiting")


def _waited_for(flow: str, lanes: list[Lane]) -> tuple[str, ...]:
    steps, runs = limits_of(flow)
    return (*runs, *steps) if any(lane.state == "b" for lane in lanes) else ()


def _kind(wait: Entry) -> str:
    return str(wait["kind"] if "kind" in wait else wait.get("t", ""))


def _death(worker: str) -> dict[str, Any]:
    return {"name": "WorkerDied", "message": f"its worker {worker} died", "traceback": ""}


def as_dict(story: Timeline) -> dict[str, Any]:
    """Return what `runs show --json` prints."""
    return {
        **story.row.as_dict(),
        "app": story.app,
        "version": story.version,
        "event": story.event,
        "worker": story.worker or None,
        "due": story.due,
        "parent": story.parent or None,
        "output": story.output,
        "reason": story.reason or None,
        "origin": story.origin or None,
        "again": story.again or None,
        "claims": [
            {"worker": c.worker, "at": c.at, "queued": c.queued, "wait_ms": c.wait_ms}
            for c in story.claims
        ],
        "handler": [_attempt_dict(attempt) for attempt in story.handler],
        "steps": [
            {
                "id": step.id,
                "kind": step.kind,
                "status": step.status,
                "due": step.due,
                "wants": step.wants or None,
                "match": step.match or None,
                "received": step.received or None,
                "sent": list(step.sent),
                "child": step.child or None,
                "output": step.output,
                "error": step.error,
                "attempts": [_attempt_dict(attempt) for attempt in step.attempts],
            }
            for step in story.steps
        ],
    }


def _attempt_dict(attempt: Attempt) -> dict[str, Any]:
    took = None
    if attempt.started is not None and attempt.ended is not None:
        took = attempt.ended - attempt.started
    return {
        "attempt": attempt.number,
        "outcome": attempt.outcome,
        "started": attempt.started,
        "ended": attempt.ended,
        "duration_ms": took,
        "due": attempt.due,
        "error": attempt.error,
        "log": attempt.log or [],
    }
