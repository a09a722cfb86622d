"""Cases of parity in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parity.stages import RUN, Failure, Outcome

from qflow import App, Event
from qflow.testing import Harness, HarnessRun, Moment, RunFailed


class MemoryStage:
    """A harness; it is made when the first event is sent, of the functions defined till then."""

    def __init__(self, *, always_replay: bool) -> None:
        self.app = App("tests")
        self._always_replay = always_replay
        self._world: Harness | None = None

    def send(
        self, name: str, data: Mapping[str, Any] | None = None, id: str = "", **fields: Any
    ) -> str:
        world = self._begun()
        event_id = self.app.send(Event(name, dict(data or {}), **{"id": id, **fields}))
        world.settle()
        return event_id

    def _begun(self) -> Harness:
        if self._world is None:
            self._world = Harness(self.app, always_replay=self._always_replay)
            self._world.__enter__()
        return self._world

    def signal(self, name: str, data: Any = None) -> None:
        assert self._world is not None
        assert self._world.signal(name, data)

    def ended(self, event: str, function: str) -> Outcome:
        return self._outcome(self._run(event, function))

    def outcomes(self, function: str, count: int) -> list[Outcome]:
        assert self._world is not None
        self._world.finish()
        found = [run for run in self._world.runs if run.function_id == function]
        assert len(found) == count
        return [self._outcome(run) for run in found]

    def _run(self, event: str, function: str) -> HarnessRun:
        assert self._world is not None
        return next(
            run for run in self._world.runs if (run.event.id, run.function_id) == (event, function)
        )

    def _outcome(self, run: HarnessRun) -> Outcome:
        assert self._world is not None
        self._world.finish(run)
        told = [(each.step, each.attempt, _plain(run, each)) for each in run.timeline]
        ends = ("completed", "cancelled", "skipped")
        told = [each for each in told if each[2] not in ends and each[::2] != ("", "failed")]
        if run.status != "failed":
            output = run.output if run.status == "completed" else None
            reason = RUN.sub("RUN", run.reason)
            return Outcome(run.status, output, None, told, _delays(run), reason)
        try:
            raise AssertionError(run.result())
        except RunFailed as error:
            failure = Failure(error.name, error.message, error.step_id)
        return Outcome(run.status, None, failure, told, _delays(run))

    def until(self, event: str, function: str, status: str) -> None:
        assert self._run(event, function).status == status

    def is_(self, event: str, function: str, status: str) -> bool:
        return self._run(event, function).status == status

    def send_all(self, events: Sequence[Event]) -> None:
        self._begun().send(events)

    def handled(self) -> None:
        pass

    def cancel(self, event: str, function: str) -> bool:
        return self.app.cancel(self._run(event, function).id)

    def cancel_only(self, function: str) -> None:
        [run] = [run for run in self._begun().runs if run.function_id == function]
        assert self._begun().cancel(run)

    def passed(self, event: str, function: str, span: str, status: str) -> None:
        self._begun().advance(span)
        self.until(event, function, status)

    def slept(self, event: str, function: str, span: str) -> None:
        self._begun().advance(span)

    def until_retry(self, event: str, function: str) -> None:
        assert any(each.outcome == "retry" for each in self._run(event, function).timeline)

    def settled(self, predicate: Callable[[], bool], what: str) -> None:
        assert predicate(), what

    def pause(self, function: str, how: str) -> None:
        self._begun().pause(function, hold=how == "hold")

    def resume(self, function: str) -> None:
        self._begun().resume(function)

    def rerun(self, event: str, function: str, step: str = "", data: Any = ...) -> Outcome:
        new = self._begun().rerun(self._run(event, function), data=data, from_step=step)
        return self._outcome(new)

    def hasten(self, event: str, function: str, what: str) -> None:
        run, world = self._run(event, function), self._begun()
        world.skip_sleep(run) if what == "sleep" else world.retry_now(run)

    def started(self) -> dict[str, int]:
        assert self._world is not None
        counts: dict[str, int] = {}
        for run in self._world.runs:
            counts[run.function_id] = counts.get(run.function_id, 0) + 1
        return counts

    def close(self) -> None:
        if self._world is not None:
            self._world.__exit__(None, None, None)


def _plain(run: HarnessRun, moment: Moment) -> str:
    """Return an outcome as Redis tells it: what timed out has a value or an error."""
    return run.step(moment.step).status if moment.outcome == "timeout" else moment.outcome


def _delays(run: HarnessRun) -> list[int]:
    """Return how long it was from each failure and each sleep's beginning to what came next."""
    moments = run.timeline
    spans = [
        later.at - each.at
        for each, later in itertools.pairwise(moments)
        if each.outcome in ("retry", "sleep")
    ]
    return [round(span.total_seconds() * 1000) for span in spans]
