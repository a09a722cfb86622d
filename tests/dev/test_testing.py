"""The tools that tests are built on: a Redis to kill, and the watch over keys."""

from __future__ import annotations

import threading

import pytest

from qflow.errors import QflowError, RedisUnavailable
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.leaks import kinds, leaks
from qflow.testing.processes import Qflow
from qflow.testing.server import RedisServer

RUN = "01J00000000000000000000000"


@pytest.mark.parametrize(("appendonly", "left"), [(True, b"v"), (False, None)])
def test_a_killed_server_keeps_what_its_file_has(appendonly: bool, left: bytes | None) -> None:
    with RedisServer(appendonly=appendonly) as server:
        redis, url = Redis(server.url), server.url
        redis.call("SET", "k", "v")
        server.kill()
        with pytest.raises(RedisUnavailable):
            redis.call("PING")
        with pytest.raises(QflowError, match=r"call restart\(\)"):
            server.kill()
        server.restart()
        assert server.url == url
        assert redis.call("GET", "k") == left


def test_a_paused_server_answers_when_it_goes_on() -> None:
    with RedisServer() as server:
        redis = Redis(server.url)
        redis.call("PING")
        server.pause()
        answered = threading.Event()

        def ask() -> None:
            redis.call("PING")
            answered.set()

        asker = threading.Thread(target=ask)
        asker.start()
        assert not answered.wait(0.1)
        server.resume()
        assert answered.wait(5)
        asker.join()
        server.pause()  # and one that is paused can be stopped


def test_every_kind_of_key_is_known_by_its_most_special_pattern(keys: Keys) -> None:
    known = kinds(keys)

    def name(key: str) -> str:
        return next(kind.name for kind in known if kind.pattern.fullmatch(key))

    assert name(keys.run(RUN)) == "run"
    assert name(keys.steps(RUN)) == "steps"
    assert name(keys.rq_worker_executions("w")) == "rq_worker_executions"
    assert name(keys.by_function("f", "queued")) == "by_function"
    assert name(keys.wake_timer) == "wake_timer"


@pytest.mark.leaves_keys("this is what finds them")
def test_leaks_are_found(redis: Redis, keys: Keys) -> None:
    redis.pipeline(
        [
            ("XADD", keys.events, "*", "name", "a"),
            ("SADD", keys.functions, "f"),
            ("SET", keys.wake, "1"),
            ("SET", f"{keys.ns}:surprise", "1"),
            ("SET", f"{keys.ns}:brief", "1", "EX", 9),
            ("SET", "rq:surprise", "1"),
            ("SET", "someone:else", "1"),
        ]
    )
    assert [line.split(": ")[0] for line in leaks(redis, keys)] == [
        "rq:surprise",
        f"{keys.ns}:surprise",
        keys.wake,
    ]


@pytest.mark.leaves_keys("this is what finds them")
def test_keys_of_a_run_may_stay_until_it_ends(redis: Redis, keys: Keys) -> None:
    redis.pipeline(
        [
            ("ZADD", keys.runs, 1, RUN),
            ("HSET", keys.run(RUN), "status", "running"),
            ("HSET", keys.steps(RUN), "a", "1"),
            ("HSET", keys.job(f"{RUN}-enter-1"), "status", "started"),
            ("ZADD", keys.wip, 1, f"{RUN}-enter-1:w"),
        ]
    )
    assert leaks(redis, keys) == []
    redis.call("HSET", keys.run(RUN), "status", "completed")
    assert len(leaks(redis, keys)) == 4


def test_commands_run_and_a_wait_in_vain_shows_their_logs(qflow_processes: Qflow) -> None:
    assert qflow_processes.run("--version").stdout.startswith("qflow ")
    process = qflow_processes.spawn("no-such-command")
    assert process.wait() == 2
    with pytest.raises(AssertionError, match="for the moon\nqflow no-such-command .*exit code 2"):
        qflow_processes.wait_for(lambda: False, 0.05, "the moon")


def test_services_are_waited_for(qflow_processes: Qflow, keys: Keys, redis: Redis) -> None:
    (qflow_processes.folder / "workers").mkdir()
    for kind in ("worker", "router", "scheduler"):
        qflow_processes.start(kind)
    assert redis.call("ZCARD", keys.leases) == 1
    qflow_processes.stop()
    assert redis.call("ZCARD", keys.leases) == 0
