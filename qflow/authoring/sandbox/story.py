"""A scenario of a dry run as the story of a run, so that it is drawn like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qflow.read.runs import RunRow
from qflow.read.timeline import Attempt, StepView, Timeline

_KINDS = {"sleep": "sleep", "wait": "event"}
_STATUSES = {"ok": "completed", "timeout": "completed", "retry": "waiting", "failed": "failed"}


def story(function: str, scene: Mapping[str, Any]) -> Timeline:
    """Return a scenario as a timeline that begins at 0."""
    moments: Sequence[Mapping[str, Any]] = scene["moments"]
    last = max((moment["at_ms"] for moment in moments), default=0)
    status = str(scene["status"])
    ended = last if status in ("completed", "failed", "cancelled") else None
    error = _error(scene["error"]) if scene["error"] else None
    steps = dict.fromkeys(moment["step"] for moment in moments if moment["step"])
    return Timeline(
        row=RunRow("dry run", function, status, 0, 0, ended, error),
        app="",
        version="",
        event={},
        worker="",
        due=None,
        claims=(),
        handler=tuple(_attempts([m for m in moments if not m["step"] and m["outcome"] == "retry"])),
        steps=tuple(_step(step, [m for m in moments if m["step"] == step]) for step in steps),
        output=scene["output"],
        error=error,
        parent="",
        reason="",
        origin="",
        again="",
        now=last,
    )


def _step(step: str, moments: Sequence[Mapping[str, Any]]) -> StepView:
    first, last = moments[0], moments[-1]
    kind = _KINDS.get(first["outcome"], "step")
    if kind == "step":
        attempts = tuple(_attempts(moments))
    else:
        done = last["outcome"] if last is not first else ""
        ended = last["at_ms"] if done else None
        outcome = "failed" if done == "failed" else "ok" if done else "running"
        attempts = (Attempt(0, outcome, first["at_ms"], ended),)
    waiting = "sleeping" if kind == "sleep" else "waiting"
    wants = "timed out" if last["outcome"] == "timeout" else ""
    return StepView(
        id=step,
        kind=kind,
        status=_STATUSES.get(last["outcome"], waiting),
        attempts=attempts,
        due=None,
        output=None,
        error=_error(last["error"]) if last["error"] else None,
        wants=wants,
        since=first["at_ms"],
    )


def _attempts(moments: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    return [
        Attempt(
            moment["attempt"], moment["outcome"], moment["at_ms"], moment["at_ms"],
            _error(moment["error"]) if moment["error"] else None,
        )
        for moment in moments
    ]  # fmt: skip


def _error(line: str) -> dict[str, Any]:
    name, colon, message = line.partition(": ")
    return {"name": name if colon else "Error", "message": message or line, "traceback": ""}
