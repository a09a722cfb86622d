"""One way to run a function on real services and in memory, and to say what became of it.

A case says what it expects once; it is met on Redis, in memory, and in memory with every step on an
entry of its own, so that the harness that users test with cannot drift from what they deploy.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import pytest
from cases.world import World

from qflow import App, Event
from qflow.testing import Harness, HarnessRun, Moment, RunFailed


class Failure(NamedTuple):
    """What a run failed with."""

    name: str
    message: str
    step: str


class Outcome(NamedTuple):
    """What became of a run. `told` has (step, attempt, outcome) of all that happened to its steps;
    `delays` the milliseconds that it waited after each failure and for each sleep."""

    status: str
    output: Any
    failure: Failure | None
    told: list[tuple[str, int, str]]
    delays: list[int]


def about(*delays: int) -> Any:
    """Return delays to compare with: Redis's clock may go on between two readings in one script."""
    return pytest.approx(list(delays), abs=3)


class Stage(Protocol):
    """Where functions of `app` are run: define them first, then send."""

    app: App

    def send(self, name: str, data: Mapping[str, Any] | None = None, id: str = "") -> str:
        """Send an event; return its id."""
        ...

    def signal(self, name: str, data: Any = None) -> None:
        """Give a signal to the step that waits for it, or will in a moment."""
        ...

    def ended(self, event: str, function: str) -> Outcome:
        """Return what became of the run that an event started for a function."""
        ...

    def started(self) -> dict[str, int]:
        """Return how many runs of each function there were, once all sent events are handled."""
        ...


class RedisStage:
    """Router, scheduler and a worker on a real Redis."""

    def __init__(self, world: World) -> None:
        self.app = world.app
        self._world = world
        self._served = False

    def send(self, name: str, data: Mapping[str, Any] | None = None, id: str = "") -> str:
        if not self._served:
            self._served = True
            self._world.worker()
        return self._world.send(name, data, **({"id": id} if id else {}))

    def signal(self, name: str, data: Any = None) -> None:
        self._world.until(lambda: self.app.signal(name, data), f"a step to wait for {name}")

    def ended(self, event: str, function: str) -> Outcome:
        run = self._world.ended(event, function)
        told, delays = [], []
        for entry in self._entries(run.id):
            if entry["t"] == "step":
                told.append((entry["id"], entry["a"], "ok" if entry["ok"] else "failed"))
            elif entry["t"] == "retry":
                told.append((entry["id"], entry["a"], "retry"))
            elif entry["t"] in ("sleep", "wait"):
                told.append((entry["id"], 0, entry["t"]))
            delays += [entry["due"] - entry["ms"]] if "due" in entry else []
        if run.status != "failed":
            return Outcome(run.status, run.output, None, told, delays)
        failure = Failure(run.error["name"], run.error["message"], run.error.get("step", ""))
        return Outcome(run.status, None, failure, told, delays)

    def started(self) -> dict[str, int]:
        world = self._world
        pending = ("XINFO", "GROUPS", world.keys.events)
        world.until(lambda: _handled(world.redis.call(*pending)), "all events to be handled")
        counts: dict[str, int] = {}
        for raw in world.redis.call("ZRANGE", world.keys.runs, 0, -1):
            function = world.look(raw.decode()).fields["fn"]
            counts[function] = counts.get(function, 0) + 1
        return counts

    def _entries(self, run: str) -> list[dict[str, Any]]:
        found = []
        raw = self._world.redis.call("XRANGE", self._world.keys.trace(run), "-", "+")
        told = self._world.look(run).trace
        for (entry, flat), fields in zip(raw, told, strict=True):
            pairs = dict(zip(flat[::2], flat[1::2], strict=True))
            due = {"due": int(pairs[b"due"])} if b"due" in pairs else {}
            found.append({**fields, **due, "ms": int(entry.split(b"-")[0])})
        return found


def _handled(groups: list[list[Any]]) -> bool:
    facts = [dict(zip(group[::2], group[1::2], strict=True)) for group in groups]
    return all(not fact[b"pending"] and not fact[b"lag"] for fact in facts)


class MemoryStage:
    """A harness; it is made when the first event is sent, of the functions defined till then."""

    def __init__(self, *, always_replay: bool) -> None:
        self.app = App("tests")
        self._always_replay = always_replay
        self._world: Harness | None = None

    def send(self, name: str, data: Mapping[str, Any] | None = None, id: str = "") -> str:
        if self._world is None:
            self._world = Harness(self.app, always_replay=self._always_replay)
            self._world.__enter__()
        event_id = self.app.send(Event(name, dict(data or {}), id))
        self._world.settle()
        return event_id

    def signal(self, name: str, data: Any = None) -> None:
        assert self._world is not None
        assert self._world.signal(name, data)

    def ended(self, event: str, function: str) -> Outcome:
        assert self._world is not None
        run = next(
            run for run in self._world.runs if (run.event.id, run.function_id) == (event, function)
        )
        self._world.finish(run)
        told = [(each.step, each.attempt, _plain(run, each)) for each in run.timeline]
        told = [each for each in told if each[2] != "completed" and each[::2] != ("", "failed")]
        if run.status != "failed":
            return Outcome(run.status, run.output, None, told, _delays(run))
        try:
            raise AssertionError(run.result())
        except RunFailed as error:
            failure = Failure(error.name, error.message, error.step_id)
        return Outcome(run.status, None, failure, told, _delays(run))

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
