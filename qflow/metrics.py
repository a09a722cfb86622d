"""Prometheus metrics: what each is, and this process's own counts.

Counting is a sink of `qflow.telemetry` that adds to plain numbers, because a worker ends thousands
of steps a second; `qflow.exposition` turns them into Prometheus's form when somebody asks, and
reads from Redis what only Redis knows. `METRICS` is the one list of names: the exposition is built
from it, and tests hold docs/operations.md, the alert rules and the dashboard to it.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]
Scope = Literal["process", "redis"]
Labels = tuple[str, ...]


class Metric(NamedTuple):
    """One metric. A "redis" one is the same on every process: `max` over them, not `sum`."""

    name: str
    kind: Kind
    scope: Scope
    labels: Labels
    help: str


def _metric(name: str, kind: Kind, scope: Scope, labels: str, text: str) -> Metric:
    return Metric(f"qflow_{name}", kind, scope, tuple(labels.split()), text)


METRICS: Final[tuple[Metric, ...]] = (
    _metric("events_received_total", "counter", "process", "",
            "Events that this router read from the stream."),
    _metric("events_rejected_total", "counter", "redis", "",
            "Malformed events moved to the rejected stream."),
    _metric("events_duplicate_total", "counter", "redis", "",
            "Starts skipped because the same event id had started the function."),
    _metric("runs_created_total", "counter", "process", "function",
            "Runs that this process created."),
    _metric("runs_ended_total", "counter", "process", "function status",
            "Runs that ended in this process, by status."),
    _metric("runs", "gauge", "redis", "function status",
            "Runs that exist now, ended ones until their retention is over."),
    _metric("step_attempts_total", "counter", "process", "function outcome",
            "Attempts of steps by outcome: ok, retry or failed."),
    _metric("event_to_start_seconds", "histogram", "process", "function",
            "Time from an event's acceptance to the first claim of its run."),
    _metric("queue_wait_seconds", "histogram", "process", "function",
            "Time that a job waited in the queue before a worker claimed it."),
    _metric("step_duration_seconds", "histogram", "process", "function",
            "Time that one attempt of a step took."),
    _metric("queue_depth", "gauge", "redis", "",
            "Jobs in the queue that no worker has claimed."),
    _metric("queue_oldest_seconds", "gauge", "redis", "",
            "Age of the oldest of the next 32 jobs in the queue, 0 without any."),
    _metric("delayed_jobs", "gauge", "redis", "",
            "Jobs on a timer: retries and sleeps."),
    _metric("stream_lag", "gauge", "redis", "",
            "Events that no router has read (below Redis 7 counted to 1,000)."),
    _metric("stream_pending", "gauge", "redis", "",
            "Events that a router has read and not finished."),
    _metric("leases", "gauge", "redis", "",
            "Workers whose lease is valid."),
    _metric("leases_lapsed", "gauge", "redis", "",
            "Workers whose lease lapsed and whose jobs were not yet returned."),
    _metric("fenced_commits_total", "counter", "redis", "",
            "Commits refused because another worker had taken the lease."),
    _metric("worker_deaths_total", "counter", "redis", "",
            "Attempts that ended because their worker died."),
    _metric("jobs_dropped_total", "counter", "redis", "",
            "Queue entries dropped because they were not their run's current job."),
    _metric("leader", "gauge", "process", "",
            "1 in the process of the leading scheduler."),
    _metric("leader_present", "gauge", "redis", "",
            "1 while some scheduler leads."),
    _metric("loop_age_seconds", "gauge", "process", "loop",
            "Time since each loop of this process last came round."),
    _metric("worker_slots", "gauge", "process", "",
            "Steps that this worker can execute at once."),
    _metric("worker_slots_busy", "gauge", "process", "",
            "Slots of this worker that are in use."),
    _metric("redis_up", "gauge", "process", "",
            "1 if Redis answered this scrape."),
)  # fmt: skip

BOUNDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
"""Upper bounds of the buckets of every histogram, in seconds; the last bucket has none."""

MAX_FUNCTIONS: Final = 1000
"""Functions beyond this many share the label "other", so that labels stay bounded."""


class Histogram:
    """Counts per bucket, and the sum, of one histogram."""

    __slots__ = ("counts", "sum")

    def __init__(self, counts: Sequence[int] | None = None, total: float = 0.0) -> None:
        self.counts = list(counts) if counts else [0] * (len(BOUNDS) + 1)
        self.sum = total

    def add(self, seconds: float) -> None:
        """Count one value."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds


# Zeros from the start: Prometheus sees no increase in a series whose first value is 1.
_NONE_ENDED: Final = {"completed": 0, "failed": 0, "cancelled": 0}
_NO_ATTEMPTS: Final = {"ok": 0, "retry": 0, "failed": 0}


@dataclass(slots=True)
class _Counts:
    """What this process counted for one function."""

    created: int = 0
    ended: dict[str, int] = field(default_factory=lambda: dict(_NONE_ENDED))
    outcomes: dict[str, int] = field(default_factory=lambda: dict(_NO_ATTEMPTS))
    histograms: tuple[Histogram, Histogram, Histogram] = field(
        default_factory=lambda: (Histogram(), Histogram(), Histogram())
    )


Values = dict[str, dict[Labels, Any]]
"""Metric name → label values → number or Histogram."""

_EVENT_TO_START, _QUEUE_WAIT, _STEP_DURATION = range(3)


class Tally:
    """This process's own counts; `sink` is a telemetry sink, safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._functions: dict[str, _Counts] = {}
        self._loops: dict[str, float] = {}
        self._events = 0
        self._leader = 0
        self._slots = 0
        self._on: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "event.received": self._event_received,
            "run.created": self._run_created,
            "cron.fired": self._cron_fired,
            "run.claimed": self._run_claimed,
            "run.ended": self._run_ended,
            "step.ended": self._step_ended,
            "loop.ticked": self._loop_ticked,
            "leader.gained": self._leader_gained,
            "leader.lost": self._leader_lost,
            "worker.started": self._worker_started,
        }

    def sink(self, name: str, fields: Mapping[str, Any]) -> None:
        """Count one telemetry event."""
        count = self._on.get(name)
        if count is not None:
            count(fields)

    def values(self) -> Values:
        """Return the "process" metrics as they stand now."""
        with self._lock:
            now = self._clock()
            values: Values = {
                "qflow_events_received_total": {(): self._events},
                "qflow_leader": {(): self._leader},
                "qflow_worker_slots": {(): self._slots},
                "qflow_loop_age_seconds": {(loop,): now - at for loop, at in self._loops.items()},
            }
            for metric in METRICS:
                if metric.scope == "process" and "function" in metric.labels:
                    values[metric.name] = {}
            for function, counts in self._functions.items():
                _add(values, function, counts)
        return values

    def _counts(self, function: str) -> _Counts:
        if len(self._functions) >= MAX_FUNCTIONS:
            function = "other"
        return self._functions.setdefault(function, _Counts())

    def _step_ended(self, fields: Mapping[str, Any]) -> None:
        function, outcome, seconds = fields["function"], fields["outcome"], fields["seconds"]
        with self._lock:
            counts = self._functions.get(function) or self._counts(function)
            outcomes = counts.outcomes
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            histogram = counts.histograms[_STEP_DURATION]
            histogram.counts[bisect_left(BOUNDS, seconds)] += 1
            histogram.sum += seconds

    def _run_claimed(self, fields: Mapping[str, Any]) -> None:
        since_event = fields["event_to_start_s"]
        with self._lock:
            counts = self._functions.get(fields["function"]) or self._counts(fields["function"])
            counts.histograms[_QUEUE_WAIT].add(fields["queue_wait_s"])
            if since_event is not None:
                counts.histograms[_EVENT_TO_START].add(since_event)

    def _run_created(self, fields: Mapping[str, Any]) -> None:
        with self._lock:
            self._counts_of(fields).created += fields["count"]

    def _cron_fired(self, fields: Mapping[str, Any]) -> None:
        with self._lock:
            self._counts_of(fields).created += 1

    def _run_ended(self, fields: Mapping[str, Any]) -> None:
        with self._lock:
            ended = self._counts_of(fields).ended
            ended[fields["status"]] = ended.get(fields["status"], 0) + 1

    def _counts_of(self, fields: Mapping[str, Any]) -> _Counts:
        function = fields["function"]
        return self._functions.get(function) or self._counts(function)

    def _event_received(self, fields: Mapping[str, Any]) -> None:
        with self._lock:
            self._events += fields["count"]

    def _loop_ticked(self, fields: Mapping[str, Any]) -> None:
        with self._lock:
            self._loops[fields["loop"]] = self._clock()

    def _leader_gained(self, _fields: Mapping[str, Any]) -> None:
        self._leader = 1

    def _leader_lost(self, _fields: Mapping[str, Any]) -> None:
        self._leader = 0

    def _worker_started(self, fields: Mapping[str, Any]) -> None:
        self._slots = fields["slots"]


def _add(values: Values, function: str, counts: _Counts) -> None:
    values["qflow_runs_created_total"][(function,)] = counts.created
    for status, number in counts.ended.items():
        values["qflow_runs_ended_total"][(function, status)] = number
    for outcome, number in counts.outcomes.items():
        values["qflow_step_attempts_total"][(function, outcome)] = number
    names = ("event_to_start_seconds", "queue_wait_seconds", "step_duration_seconds")
    for name, histogram in zip(names, counts.histograms, strict=True):
        copy = Histogram(histogram.counts, histogram.sum)
        values[f"qflow_{name}"][(function,)] = copy
