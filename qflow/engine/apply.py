"""One branch for each outcome: which script carries it out, and what the lane is afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from qflow.core.outcome import Again, Complete, Done, Effect, Fail, Open, Send, Sleep
from qflow.store.open import send
from qflow.store.run import (
    NOTHING,
    End,
    Held,
    Lane,
    Standing,
    Wait,
    Written,
    advance,
    delay,
    finish,
    giveback,
    open_step,
)
from qflow.store.script import Call


@dataclass(frozen=True)
class Retention:
    """How long ended runs are kept, in seconds."""

    ended_s: int
    failed_s: int


_quoted = lru_cache(maxsize=4096)(json.dumps)


class Applied(NamedTuple):
    """The script calls of an outcome, the lane after it, and whether the worker lets go of the run.

    `record` is that lane's, where it was asked for anyway.
    """

    calls: list[Call]
    lane: Lane
    released: bool
    record: str = ""


def written(done: Done | None) -> Written:
    """Return what a transition keeps of a finished step."""
    if done is None:
        return NOTHING
    step, text, attempt, started_ms, ended_ms, ok, log = done
    trace = (
        f'{{"t":"step","id":{_quoted(step)},"a":{attempt},"s":{started_ms},'
        f'"e":{ended_ms},"ok":{"true" if ok else "false"}{_logged(log)}}}'
    )
    return Written(step, text, trace)


def apply(
    effect: Effect, held: Held, lane: Lane, standing: Standing, done: Done | None, keep: Retention
) -> Applied:
    """Return how `effect` is carried out from `lane`, together with a finished step, if any."""
    match effect:
        case Open(step, attempt, deaths):
            after = lane.next("s", step, attempt, deaths)
            record = after.record
            call = advance(held, lane, standing, record, written(done), keep.ended_s)
            return Applied([call], after, False, record)
        case Send(sent, events):
            after = lane.next("s", "", held.attempt)
            call = send(held, (lane, after), written(sent), events)
            return Applied([*caught_up(held, lane, standing), call], after, False)
        case Complete(output) if held.plain:
            after = lane.next("e", lane.step)
            call = advance(held, lane, standing, after.record, written(done), keep.ended_s, output)
            return Applied([call], after, True)
        case Complete(output):
            after = lane.next("e", lane.step)
            note = '{"t":"end","status":"completed"}'
            end = End("completed", output, keep.ended_s, "", note)
            call = finish(held, lane, written(done), end)
        case Sleep(step, delay_ms, due_ms):
            after = lane.next("d", step)
            note = json.dumps({"t": "sleep", "id": step})
            wait = Wait(delay_ms, due_ms, held.attempt, "", note)
            call = delay(held, lane, after, written(done), wait)
        case Again(step, attempt, deaths, delay_ms, error):
            after = lane.next("d", step, attempt, deaths)
            note, tried = retry_note(effect), held.attempt if step else attempt
            wait = Wait(delay_ms, 0, tried, exc_info(error), note)
            call = delay(held, lane, after, written(done), wait)
        case Fail(error):
            after = lane.next("e", lane.step)
            note = '{"t":"end","status":"failed"}'
            end = End("failed", error, keep.failed_s, exc_info(error), note, told_of_failure(error))
            call = finish(held, lane, written(done), end)
        case _:
            raise AssertionError(f"no script carries out {effect!r}")
    return Applied([*caught_up(held, lane, standing), call], after, True)


def caught_up(held: Held, lane: Lane, standing: Standing) -> list[Call]:
    """Return what brings Redis to `lane` with its job, where it is not yet there."""
    return [] if standing.opened else [open_step(held, lane, standing)]


def give_back(
    held: Held, lane: Lane, standing: Standing, done: Done | None, next_step: Open, *, front: bool
) -> Applied:
    """Return how a run is handed to any worker before its next step."""
    after = lane.next("q", next_step.step, next_step.attempt, next_step.deaths)
    call = giveback(held, lane, after, written(done), front=front)
    return Applied([*caught_up(held, lane, standing), call], after, True)


def postpone(held: Held, lane: Lane, delay_ms: int, note: str) -> Applied:
    """Return how a job is put back untouched, for `delay_ms`."""
    after = lane.next("d", lane.step, lane.attempt, lane.deaths)
    wait = Wait(delay_ms, 0, held.attempt, "", json.dumps({"t": "postponed", "why": note}))
    return Applied([delay(held, lane, after, NOTHING, wait)], after, True)


def told_of_failure(error: str) -> str:
    """Return what the event of a failed run tells of the failure."""
    described: dict[str, Any] = json.loads(error)
    facts = {
        "error": {
            part: described[part]
            for part in ("name", "message", "traceback", "sealed")
            if part in described
        },
        "step": described.get("step", ""),
        "attempt": described.get("attempt", 0),
    }
    return json.dumps(facts)[1:-1]


def exc_info(error: str) -> str:
    """Return an error, as a lane keeps it, in the form in which RQ shows why a job failed."""
    described: dict[str, Any] = json.loads(error)
    return str(described["traceback"]) or f"{described['name']}: {described['message']}"


def retry_note(effect: Again) -> str:
    """Return what the trace keeps of a failed attempt."""
    return (
        f'{{"t":"retry","id":{json.dumps(effect.step)},"a":{effect.attempt - 1},'
        f'"s":{effect.started_ms},"e":{effect.ended_ms},"error":{effect.error}{_logged(effect.log)}}}'
    )


def _logged(log: str) -> str:
    return f',"log":{log}' if log else ""
