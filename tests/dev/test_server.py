"""`qflow dev` end to end, as a process: what a newcomer does, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qflow.dev.embedded import Embedded
from qflow.errors import RedisError, RedisUnavailable
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.processes import Process, Qflow
from qflow.testing.server import RedisServer

CLIENT = """
import qflow
app = qflow.App("shop")
"""

HELLO = """
import os, time
import qflow
from .client import app

tries = []

def flaky(n):
    tries.append(n)
    if len(tries) == 1:
        raise RuntimeError("the first time fails")
    return n * 10

def wait_for_go(name):
    open(name + ".started", "w").close()
    while not os.path.exists(name + ".go"):
        time.sleep(0.01)

@app.function("hello", trigger="shop/hello", backoff=qflow.Backoff(base="10ms"))
def hello(event, step):
    return step.run("two", flaky, step.run("one", lambda: event.data["n"] + 1))

@app.function("slow", trigger="shop/slow")
def slow(event, step):
    return step.run("wait", wait_for_go, event.data["n"])

@app.function("hourly", trigger=qflow.Cron("0 * * * *"))
def hourly(step):
    return None
"""


class DevRun:
    """A `qflow dev` under test, in a folder of its own."""

    def __init__(self, commands: Qflow) -> None:
        self.commands = commands
        self.folder = commands.folder
        self.keys = Keys("qflow")
        (self.folder / "workers").mkdir()

    def write(self, name: str, text: str) -> None:
        path = self.folder / "workers" / name
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(path)

    def start(self, *args: str, says: str = "ready: ") -> Process:
        process = self.commands.spawn("dev", *args)
        self.until_said(process, says)
        return process

    def until_said(self, process: Process, text: str, times: int = 1, timeout: float = 15) -> None:
        def said() -> bool:
            assert process.exit_code is None, process.tail()
            return process.output.count(text) >= times

        self.wait(said, f"qflow dev to say {text!r}", timeout)

    def wait(self, predicate: Callable[[], Any], what: str, timeout: float = 15) -> Any:
        return self.commands.wait_for(predicate, timeout, what)

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / ".qflow" / "redis.json").read_text())
        return found

    @property
    def redis(self) -> Redis:
        return Redis(os.environ.get("QFLOW_REDIS_URL") or self.record["url"])

    @property
    def workers(self) -> list[int]:
        names = self.redis.call("ZRANGE", self.keys.leases, 0, -1)
        return [int(name.split(b".")[-2]) for name in names]

    def send(self, event: str, **data: Any) -> None:
        self.redis.call("XADD", self.keys.events, "*", "name", event, "data", json.dumps(data))

    def outputs(self, status: str = "completed") -> list[Any]:
        redis = self.redis
        runs = redis.call("ZRANGE", self.keys.by_status(status), 0, -1)
        texts = [redis.call("HGET", self.keys.run(run.decode()), "output") for run in runs]
        return [json.loads(text) if text else None for text in texts]

    def until_output(self, *outputs: Any) -> None:
        self.wait(
            lambda: sorted(map(str, self.outputs())) == sorted(map(str, outputs)), f"{outputs}"
        )

    def interrupt(self, process: Process) -> None:
        """Press Ctrl-C, and see that nothing is left."""
        pids, url = [*self.workers, self.record["pid"]], self.record["url"]
        process.send(signal.SIGINT)
        assert process.wait(10) == 0, process.tail()
        assert [pid for pid in pids if alive(pid)] == []
        assert not (self.folder / ".qflow" / "redis.json").exists()
        with pytest.raises(RedisUnavailable):
            Redis(url).call("PING")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[DevRun]:
    with Qflow(tmp_path) as commands:
        run = DevRun(commands)
        run.write("client.py", CLIENT)
        run.write("hello.py", HELLO)
        yield run


def test_an_event_becomes_a_run_and_ctrl_c_leaves_nothing(dev: DevRun) -> None:
    process = dev.commands.spawn("dev")
    dev.wait((dev.folder / ".qflow" / "redis.json").exists, "the record", 5)
    dev.send("shop/hello", n=1)  # accepted before anything else is up
    dev.until_output(20)
    for text in (dev.record["url"], "on event shop/hello", "every hour", "qflow send shop/hello"):
        assert text in process.output
    second = dev.commands.run("dev")
    assert second.returncode == 1
    assert re.fullmatch(
        rf"error: qflow dev runs in .* as process {process.pid}: .*\n", second.stderr
    )
    dev.interrupt(process)


def test_ctrl_c_while_it_starts(dev: DevRun) -> None:
    process = dev.commands.spawn("dev")
    dev.wait((dev.folder / ".qflow" / "redis.json").exists, "the record", 5)
    dev.interrupt(process)
    assert "ready" not in process.output
    assert "rror" not in process.output


def test_changed_code_takes_effect(dev: DevRun) -> None:
    process = dev.start()
    dev.write("hello.py", HELLO.replace("* 10", "* 99"))
    dev.until_said(process, "reloaded hello.py")
    dev.send("shop/hello", n=1)
    dev.until_output(198)
    dev.write("more.py", HELLO.replace('("hello"', '("other"').split('@app.function("slow')[0])
    dev.until_said(process, "new: other")
    (dev.folder / "workers" / "more.py").unlink()
    dev.until_said(process, "removed: other")
    dev.interrupt(process)


def test_broken_code_leaves_the_old_at_work(dev: DevRun) -> None:
    process = dev.start()
    dev.write("hello.py", HELLO + "\ndef broken(:\n")
    line = len(HELLO.splitlines()) + 2
    dev.until_said(process, f"cannot start: workers/hello.py:{line}: SyntaxError")
    dev.send("shop/hello", n=1)
    dev.until_output(20)
    dev.write("hello.py", HELLO.replace('("slow"', '("hello"'))
    dev.until_said(process, "is defined already")
    dev.write("hello.py", HELLO.replace("* 10", "* 99"))
    dev.until_said(process, "reloaded hello.py")
    dev.send("shop/hello", n=2)
    dev.until_output(20, 297)


def test_code_broken_from_the_start_is_waited_for(dev: DevRun) -> None:
    dev.write("client.py", "import nosuch\n")
    process = dev.start(says="workers/client.py:1: ModuleNotFoundError: No module named 'nosuch'")
    dev.send("shop/hello", n=1)
    dev.write("client.py", CLIENT)
    dev.until_output(20)
    dev.interrupt(process)


def test_code_that_breaks_after_it_was_let_speak_is_explained_too(dev: DevRun) -> None:
    """What a slow worker says is passed on after three seconds, and its reason told at the end."""
    dev.write("client.py", "import time\n\nprint('still here')\ntime.sleep(4)\nimport nosuch\n")
    process = dev.start(says="workers/client.py:5: ModuleNotFoundError: No module named 'nosuch'")
    assert "still here" in process.output
    dev.interrupt(process)


def test_a_folder_without_functions_shows_an_example(dev: DevRun) -> None:
    for name in ("client.py", "hello.py"):
        (dev.folder / "workers" / name).unlink()
    process = dev.start(says="no functions in workers")
    example = re.search(r"      import qflow\n(?:(?:      .*)?\n)+", process.output)
    assert example
    dev.write("hello.py", "".join(line[6:] or "\n" for line in example[0].splitlines(True)))
    dev.until_said(process, "new: hello")
    dev.send("test/hello", name="Jane")
    dev.until_output("Hello Jane!")


def test_a_killed_dev_is_taken_over_by_the_next(dev: DevRun) -> None:
    killed = dev.start()
    record = dev.record
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    dev.wait(lambda: not dev.workers, "the worker to end by itself")
    dev.send("shop/hello", n=1)
    process = dev.start()
    assert "goes on from a qflow dev that was killed" in process.output
    assert (dev.record["url"], dev.record["pid"]) == (record["url"], record["pid"])
    dev.until_output(20)
    process.send(signal.SIGTERM)
    assert process.wait(10) == 0
    with pytest.raises(RedisUnavailable):
        Redis(record["url"]).call("PING")


def test_what_dies_is_replaced(dev: DevRun) -> None:
    process = dev.start()
    dev.send("shop/slow", n="a")
    dev.wait((dev.folder / "a.started").exists, "the step to start")
    os.kill(dev.workers[0], signal.SIGKILL)
    dev.until_said(process, "ended by itself (exit code -9)")
    (dev.folder / "a.go").touch()
    dev.until_output(None)  # well before the lease of 30 s
    os.kill(dev.record["pid"], signal.SIGKILL)
    dev.until_said(process, "ended by itself; starting it again")
    dev.wait((dev.folder / ".qflow" / "redis.json").exists, "the record")
    dev.wait(lambda: answers(dev.record["url"]), "Redis")
    dev.send("shop/hello", n=1)
    dev.until_output(None, 20)
    dev.interrupt(process)


def answers(url: str) -> bool:
    try:
        return bool(Redis(url).call("PING") == b"PONG")
    except RedisError:
        return False


def test_a_second_ctrl_c_does_not_wait_for_running_steps(dev: DevRun) -> None:
    process = dev.start()
    dev.send("shop/slow", n="a")
    dev.wait((dev.folder / "a.started").exists, "the step to start")
    process.send(signal.SIGINT)
    dev.until_said(process, "Ctrl-C again")
    pids = dev.workers
    process.send(signal.SIGINT)
    assert process.wait(10) == 0
    assert not any(alive(pid) for pid in pids)
    embedded = Embedded(dev.folder)
    leases = Redis(embedded.start()).call("ZCARD", dev.keys.leases)
    embedded.stop()
    assert leases == 1  # it was killed: one that leaves in peace takes its lease along


def test_a_configured_redis_is_used_and_waited_for(dev: DevRun) -> None:
    with RedisServer() as server:
        server.kill()
        process = dev.commands.spawn("dev", "--redis-url", server.url, "--namespace", "other")
        dev.until_said(process, "waiting for it")
        server.restart()
        dev.until_said(process, "ready: 3 functions")
        redis, keys = Redis(server.url), Keys("other")
        redis.call("XADD", keys.events, "*", "name", "shop/hello", "data", '{"n": 1}')
        dev.wait(lambda: redis.call("ZCARD", keys.by_status("completed")) == 1, "the run")
        process.send(signal.SIGHUP)
        assert process.wait(10) == 0
        assert redis.call("PING") == b"PONG"
        assert not (dev.folder / ".qflow").exists()


@pytest.mark.parametrize(
    ("path", "says"),
    [("nowhere", "mkdir nowhere"), ("workers/client.py", "no folder"), ("no-name", "rename it")],
)
def test_a_path_that_cannot_be_is_a_usage_error(dev: DevRun, path: str, says: str) -> None:
    (dev.folder / "no-name").mkdir()
    ended = dev.commands.run("dev", path)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert says in ended.stderr
    assert not (dev.folder / ".qflow").exists()
