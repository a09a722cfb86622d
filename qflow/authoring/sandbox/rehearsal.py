"""A dry run: the function on a virtual clock, then with its waits answered, a crash, and failing steps.

Steps run for real; one that reaches outside the sandbox (network, files, secrets) is stood for by the value
that is recorded for it or, without one, by an example of its return annotation. Every other example of one
function is bare (empty, zero, false), so that loops over pages end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from inspect import isawaitable
from typing import Any, Final

from qflow.app import App
from qflow.authoring.sandbox.stand_in import stand_in
from qflow.authoring.sandbox.watch import Watch
from qflow.core import codec
from qflow.core.event import Event
from qflow.core.outcome import Execute
from qflow.core.results import revived
from qflow.core.status import ENDED
from qflow.errors import Suspend, UsageError
from qflow.testing.harness import Harness
from qflow.testing.record import HarnessRun

MAX_FAULTS: Final = 40
_MAX_ANSWERS: Final = 100
_MISSING: Final = object()


class InjectedFailure(Exception):
    """What the sandbox lets a step's first attempt fail with."""


@dataclass
class Script:
    """What is played: the function, its event, values that stand for steps, and the step that fails."""

    function: str
    event: Event[Any] | None
    data: Mapping[str, Any]
    values: Mapping[str, Any]
    failing: str = ""
    answered: bool = False
    history: bool = False
    stubbed: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)


class Stage(Harness):
    """A harness whose steps run on a script."""

    def __init__(self, apps: list[App], script: Script, watch: Watch, **options: Any) -> None:
        super().__init__(*apps, **options)
        self._script = script
        self._watch = watch
        self._failed = False
        self._stood_for: dict[Callable[..., Any], int] = {}
        self._stubs.otherwise = self._played
        self._memory.absent = self._invoked

    def play(self) -> HarnessRun:
        """Start the run and let time pass until it ends, or waits for what time does not bring."""
        script = self._script
        if script.event is None:
            run = self.start(script.function, script.data)
        else:
            started = [r for r in self.send(script.event) if r.function_id == script.function]
            if not started:
                raise UsageError(
                    f"event {script.event.name!r} does not start {script.function!r}: its triggers, or their "
                    "conditions, do not take it"
                )
            run = started[0]
        for _ in range(_MAX_ANSWERS if script.answered else 0):
            if run.status in ENDED or not self._answer(run):
                break
        with suppress(UsageError):  # it waits for what time does not bring
            self.finish(run)
        return run

    def _answer(self, run: HarnessRun) -> bool:
        """Give the run the first thing that it waits for; return whether there was something."""
        state = next(state for state in self._memory.states if state.id == run.id)
        for opened in list(state.open.values()):
            spec = opened.spec
            if self._script.history and opened.step not in self._script.values:
                continue  # nobody answered it then
            if "approval" in spec:
                told = self._script.values.get(opened.step)
                approved = told.get("approved", True) if isinstance(told, dict) else True
                self.decide(run, opened.step, approved=approved, by="sandbox")
            elif spec["kind"] == "signal":
                self.signal(spec["signal"], self._script.values.get(opened.step))
            elif spec["kind"] == "event":
                data = self._script.values.get(opened.step, dict(run.event.data))
                self.send(
                    Event(spec["names"][0], data if isinstance(data, dict) else {"value": data})
                )
            else:
                continue
            return opened.step not in state.open
        if run.due is None:
            return False
        self.advance_to(run.due)
        return True

    def _invoked(self, step: str, function: str) -> str:
        """Return what stands for a run of a function that another service may have."""
        value = self._script.values.get(step, _MISSING)
        why = f"function {function!r} is not in this folder" if value is _MISSING else "recorded"
        self._script.stubbed.setdefault(step, why)
        given = None if value is _MISSING else value
        return f'{{"ok":{codec.encode(given, f"what stands for {step!r}")}}}'

    def _played(self, function: str, effect: Execute) -> Execute:
        step, script = effect.step, self._script
        if step not in script.ran:
            script.ran.append(step)
        real: Callable[..., Any] = effect.call.fn

        def played(*args: Any, **kwargs: Any) -> Any:
            if step == script.failing and not self._failed:
                self._failed = True
                raise InjectedFailure(f"injected by the sandbox: the first attempt of {step!r}")
            value = script.values.get(step, script.values.get(effect.call.id, _MISSING))
            if value is not _MISSING:
                script.stubbed.setdefault(step, "recorded")
                return revived(value, real)
            before = self._watch.count
            try:
                given = real(*args, **kwargs)
            except Suspend:
                raise
            except BaseException as error:  # noqa: BLE001  # a SystemExit, too, is the step's
                return self._instead(step, real, before, error)
            return self._awaited(given, step, real, before) if isawaitable(given) else given

        return effect._replace(call=effect.call._replace(fn=played))

    async def _awaited(self, given: Any, step: str, real: Callable[..., Any], before: int) -> Any:
        try:
            return await given
        except Exception as error:  # noqa: BLE001  # whatever it is, it is judged alike
            return self._instead(step, real, before, error)

    def _instead(
        self, step: str, real: Callable[..., Any], before: int, error: BaseException
    ) -> Any:
        """Return what stands for a step that failed because it reached outside; else its error."""
        reached = self._watch.since(before)
        if not reached:
            raise error
        why = "; ".join(dict.fromkeys(f"{c.kind}: {c.what}" for c in reached[:5]))
        self._script.stubbed.setdefault(step, why)
        times = self._stood_for[real] = self._stood_for.get(real, 0) + 1
        return stand_in(real, bare=times % 2 == 0)


def rehearse(apps: list[App], request: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
    """Play a function as `request` says; return what happened in each scenario."""
    event = request.get("event")
    script = Script(
        request["function"],
        Event(**event) if event else None,
        request.get("data") or {},
        request.get("values") or {},
    )
    began = datetime.fromisoformat(request["now"])
    history = request.get("history")
    if history:
        script.history = script.answered = True
        script.data = _plain(history["data"])
        script.values = {step: _plain(text) for step, text in history["steps"].items()}
    scenarios = [_scene("as it goes", apps, script, watch, began)]
    first = scenarios[0]
    if history:
        scenarios.append(_scene("crash after each step", apps, script, watch, began, crash=True))
    elif request.get("faults", True):
        if any(moment["outcome"] == "wait" for moment in first["moments"]):
            script.answered = True
            scenarios.append(_scene("waits answered", apps, script, watch, began))
            script.answered = False
        if "replay" not in first:
            scenarios.append(
                _scene("crash after each step", apps, script, watch, began, crash=True)
            )
        for step in script.ran[:MAX_FAULTS]:
            script.failing = step
            scenarios.append(_scene(f"step {step!r} fails once", apps, script, watch, began))
    return {
        "function": script.function,
        "status": first["status"],
        "stubbed": script.stubbed,
        "forgotten": _forgotten(script, first) if history else [],
        "scenarios": scenarios,
    }


def _plain(text: str) -> Any:
    """Return a value as a run keeps it: plain types only, for it came from outside."""
    return codec.decode_foreign(text)


def _forgotten(script: Script, first: Mapping[str, Any]) -> list[str]:
    """Return the finished steps of a history that the function did not ask for."""
    asked = {moment["step"] for moment in first["moments"]}
    return [step for step in script.values if step not in asked]


def _scene(
    name: str,
    apps: list[App],
    script: Script,
    watch: Watch,
    began: datetime,
    *,
    crash: bool = False,
) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "status": "refused", "error": "", "output": None}
    told["moments"] = []
    before = watch.count
    with Stage(apps, script, watch, always_replay=crash, now=began) as stage:
        try:
            run = stage.play()
        except Exception as error:  # noqa: BLE001  # a ReplayError, or what the event's model refused
            told["error"] = f"{type(error).__name__}: {error}"[:4000]
            return told
        told["status"] = run.status
        told["moments"] = [
            {
                "at_ms": round(moment.at.total_seconds() * 1000),
                "step": moment.step,
                "attempt": moment.attempt,
                "outcome": moment.outcome,
                "error": moment.error[:2000],
            }
            for moment in run.timeline
        ]
        told["events"] = [event.name for event in stage.events][:100]
        if run.status not in ENDED:
            told["error"] = str(run)[:500]
        else:
            _end(told, run)
    reached = [c for c in watch.since(before) if c.kind != "environment"]
    told["reached"] = [f"{c.kind}: {c.what}" for c in reached[:20]]
    return told


def _end(told: dict[str, Any], run: HarnessRun) -> None:
    try:
        output = codec.encode(run.result(), "the output")
        told["output"] = json.loads(output) if len(output) < 20_000 else f"{output[:200]}…"
    except Exception as error:  # noqa: BLE001  # RunFailed, mostly
        told["error"] = str(error)[:4000]
        told["traceback"] = str(getattr(error, "traceback", ""))[:8000]
