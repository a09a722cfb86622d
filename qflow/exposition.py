"""What `/metrics` answers: this process's tally and, read at each scrape, the state in Redis.

The only module that imports prometheus_client. A scrape costs Redis one pipeline; another
follows where jobs wait in the queue (their age stands in the runs) or the functions have changed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import hiredis
from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    start_http_server,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from qflow import metrics, telemetry
from qflow.core.status import RUN_STATUSES
from qflow.errors import ConfigError, RedisError, RedisUnavailable
from qflow.metrics import BOUNDS, MAX_FUNCTIONS, METRICS, Histogram, Tally, Values
from qflow.store.keys import Keys
from qflow.store.redis import Command, Link, Redis, pack, refusal
from qflow.store.stream import GROUP

_WAIT_S: Final = 2.0
_HEAD: Final = 32
_PAGE: Final = 50
_LAG_LIMIT: Final = 1000
_LAG_BYTES: Final = 4 << 20
_COUNTERS: Final = {
    "qflow_events_rejected_total": b"rejected",
    "qflow_events_duplicate_total": b"duplicates",
    "qflow_fenced_commits_total": b"fenced",
    "qflow_worker_deaths_total": b"deaths",
    "qflow_jobs_dropped_total": b"dropped",
}


def serve(
    host: str, port: int, redis: Redis, keys: Keys, busy: Callable[[], int] | None = None
) -> Callable[[], None]:
    """Count from now on and serve `/metrics` on `host:port`; return what stops both.

    Port 0 means none: nothing is counted. `busy` tells how many slots of this worker are in use.
    Raises ConfigError where the port is taken.
    """
    if port == 0:
        return lambda: None
    tally = Tally()
    try:
        stop_server = _start(host, port, tally, redis, keys, busy or (lambda: 0))
    except OSError as error:
        raise ConfigError(
            f"QFLOW_METRICS_PORT={port}: cannot listen on {host}: {error.strerror or error}; "
            "choose a free port, one for each process"
        ) from None
    telemetry.attach(tally.sink)

    def stop() -> None:
        telemetry.detach(tally.sink)
        stop_server()

    return stop


def _start(
    host: str, port: int, tally: Tally, redis: Redis, keys: Keys, busy: Callable[[], int]
) -> Callable[[], None]:
    """Serve `/metrics`; return what stops it. Raises OSError where the port is taken."""
    registry = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    gauges = RedisGauges(Link(redis.target), redis.target.shown, keys)
    registry.register(Exporter(tally, gauges, busy))
    server, _ = start_http_server(port, host, registry)

    def stop() -> None:
        ending = threading.Thread(target=server.shutdown)
        ending.start()
        with suppress(
            OSError
        ):  # a caller makes the server look up now, not at its next half-second
            socket.create_connection((host, port), 0.5).close()
        ending.join()
        server.server_close()
        gauges.close()

    return stop


class Exporter(Collector):
    """Gives Prometheus every metric of `METRICS`; without Redis, those of this process."""

    def __init__(self, tally: Tally, gauges: RedisGauges, busy: Callable[[], int]) -> None:
        self._tally = tally
        self._gauges = gauges
        self._busy = busy

    def collect(self) -> Iterator[Metric]:
        """Yield one family for each metric."""
        values = self._tally.values()
        values["qflow_worker_slots_busy"] = {(): self._busy()}
        try:
            values.update(self._gauges.read())
            values["qflow_redis_up"] = {(): 1}
        except RedisError:
            values["qflow_redis_up"] = {(): 0}
        for metric in METRICS:
            yield _family(metric, values.get(metric.name, {}))


class RedisGauges:
    """Reads the "redis" metrics, on a connection of its own that waits for nothing long."""

    def __init__(self, link: Link, shown: str, keys: Keys) -> None:
        self._link = link
        self._shown = shown
        self._keys = keys
        self._lock = threading.Lock()
        self._functions: list[str] = []

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._link.close()

    def read(self) -> Values:
        """Return the metrics as Redis has them now; raises RedisError."""
        with self._lock:
            return self._read()

    def _read(self) -> Values:
        keys = self._keys
        runs = self._runs_commands()
        functions, head, *facts = self._ask(
            [
                ("HKEYS", keys.functions),
                ("LRANGE", keys.queue, 0, _HEAD - 1),
                ("TIME",),
                ("LLEN", keys.queue),
                ("ZCARD", keys.scheduled),
                ("HGETALL", keys.counters),
                ("ZRANGE", keys.leases, 0, -1, "WITHSCORES"),
                ("HGET", keys.leader, "until"),
                ("XLEN", keys.events),
                ("XINFO", "GROUPS", keys.events),
                *runs,
            ]
        )
        facts, counted = facts[:8], facts[8:]
        known = sorted(name.decode() for name in functions)[:MAX_FUNCTIONS]
        if known != self._functions:
            self._functions = known
            counted = self._ask(self._runs_commands())
        queued = self._ask([("HGET", keys.run(job[:26].decode()), "queued") for job in head])
        return {
            "qflow_runs": dict(zip(self._runs_labels(), counted, strict=True)),
            **self._state(queued, facts),
        }

    def _state(self, queued: Sequence[bytes | None], facts: Sequence[Any]) -> Values:
        time, depth, delayed, counters, leases, leader_until, events, groups = facts
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        lag, pending = self._stream(events, groups)
        lapsed = sum(float(until) <= now_ms for until in leases[1::2])
        totals = dict(zip(counters[::2], counters[1::2], strict=True))
        since = min((int(at) for at in queued if at), default=now_ms)
        return {
            **{name: {(): int(totals.get(member, 0))} for name, member in _COUNTERS.items()},
            "qflow_queue_depth": {(): depth},
            "qflow_queue_oldest_seconds": {(): max(0, now_ms - since) / 1000},
            "qflow_delayed_jobs": {(): delayed},
            "qflow_stream_lag": {(): lag},
            "qflow_stream_pending": {(): pending},
            "qflow_leases": {(): len(leases) // 2 - lapsed},
            "qflow_leases_lapsed": {(): lapsed},
            "qflow_leader_present": {(): int(int(leader_until or 0) > now_ms)},
        }

    def _runs_labels(self) -> list[metrics.Labels]:
        return [(function, status) for function in self._functions for status in RUN_STATUSES]

    def _runs_commands(self) -> list[Command]:
        return [("ZCARD", self._keys.by_function(*labels)) for labels in self._runs_labels()]

    def _stream(self, events: int, groups: Sequence[Any] | None) -> tuple[int, int]:
        """Return how many entries the routers have not read, and how many they work on."""
        for flat in groups or ():
            group = dict(zip(flat[::2], flat[1::2], strict=True))
            if group[b"name"] == GROUP.encode():
                lag = group.get(b"lag")
                if lag is None:  # before Redis 7, or after entries were deleted by hand
                    lag = self._count_after(group[b"last-delivered-id"])
                return lag, group[b"pending"]
        return events, 0  # no router has ever run

    def _count_after(self, entry: bytes) -> int:
        """Count the entries after `entry`, up to a limit of entries and of bytes read for it."""
        count = size = 0
        while count < _LAG_LIMIT and size < _LAG_BYTES:
            page = self._ask([("XRANGE", self._keys.events, b"(" + entry, "+", "COUNT", _PAGE)])[0]
            count += len(page)
            if len(page) < _PAGE:
                break
            entry = page[-1][0]
            size += sum(len(part) for _, fields in page for part in fields)
        return count

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """Exchange commands; the answer about a key that does not exist is None."""
        if not commands:
            return []
        packed = b"".join([pack(tuple(command)) for command in commands])
        reused = self._link.connected
        try:
            replies = self._link.exchange(packed, len(commands), _WAIT_S)
        except RedisUnavailable as error:
            if not reused or isinstance(error.__cause__, TimeoutError):
                raise
            replies = self._link.exchange(packed, len(commands), _WAIT_S)  # it had grown stale
        for i, reply in enumerate(replies):
            if isinstance(reply, hiredis.ReplyError):
                if str(reply) != "ERR no such key":
                    raise refusal(reply, self._shown)
                replies[i] = None
        return replies


def _family(metric: metrics.Metric, values: dict[metrics.Labels, Any]) -> Metric:
    if metric.kind == "histogram":
        histograms = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, histogram in values.items():
            histograms.add_metric(labels, _buckets(histogram), histogram.sum)
        return histograms
    counted = metric.kind == "counter"
    family = (CounterMetricFamily if counted else GaugeMetricFamily)(
        metric.name, metric.help, labels=metric.labels
    )
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    buckets, total = [], 0
    bounds = [*map(str, BOUNDS), "+Inf"]
    for bound, count in zip(bounds, histogram.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
